#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Copy the modules that the list names, and what they need, uncompressed."""

import fnmatch
import lzma
import os
import shutil
import subprocess
import sys


def bare(path):
    """A path of modules.dep without the folder kernel/ and the suffixes."""
    for suffix in (".xz", ".zst", ".gz", ".ko"):
        path = path.removesuffix(suffix)
    return path.removeprefix("kernel/")


def copy(source, target):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if source.endswith(".xz"):
        with lzma.open(source) as packed, open(target, "wb") as plain:
            shutil.copyfileobj(packed, plain)
    elif source.endswith(".zst"):
        with open(target, "wb") as plain:
            subprocess.run(["zstd", "-dcq", source], stdout=plain, check=True)
    else:
        shutil.copyfile(source, target)


def main():
    lib, out, listfile = sys.argv[1:]
    with open(listfile, encoding="ascii") as lines:
        patterns = [line.strip() for line in lines
                    if line.strip() and not line.startswith("#")]
    needs = {}
    with open(os.path.join(lib, "modules.dep"), encoding="ascii") as lines:
        for line in lines:
            path, _, deps = line.strip().partition(":")
            needs[path] = deps.split()
    todo = [path for path in needs
            if any(fnmatch.fnmatch(bare(path), p) for p in patterns)]
    keep = set()
    while todo:
        path = todo.pop()
        if path not in keep:
            keep.add(path)
            todo += needs[path]
    for path in sorted(keep):
        copy(os.path.join(lib, path),
             os.path.join(out, "kernel", bare(path) + ".ko"))
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        if os.path.exists(os.path.join(lib, name)):
            shutil.copyfile(os.path.join(lib, name), os.path.join(out, name))
    print(f"{len(keep)} of {len(needs)} modules")


if __name__ == "__main__":
    main()
