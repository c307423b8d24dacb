#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which tests there are: what the scripts' headers say, on which kernels and in which variants.

tests/README.md describes the headers, and tests/conftest.py gives these tests to pytest. As a program
this file lists tests, or checks the headers.
"""

import argparse
import dataclasses
import fnmatch
import os
import re
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEBUG = "6.12-debug"
# where a functional test runs that does not say where, and all of its variants
USUAL = "6.12"
# what a test may need besides, and tests/vm/ready makes when one does
NEEDS = ("qemu",)
RUNGS = ("static", "unit", "build", "selftest", "perf", "functional")


def kernels():
    """Those of tests/vm/kernels, which the shell reads as well."""
    with open(os.path.join(TESTS, "vm/kernels"), encoding="ascii") as f:
        return [line.strip() for line in f if not line.startswith("#")]


@dataclasses.dataclass(frozen=True)
class Variant:
    """A variant of a functional test: what it changes in the guest."""

    append: str = ""    # words on the kernel's command line
    cpus: int = 0       # 0: as the test's header says


VARIANTS = {
    "no-spin": Variant("nvtgt.spin_us=0"),
    "one-reactor": Variant(cpus=1),
    "many-readers": Variant("bench.many-readers"),
    "rdma": Variant("bench.transport=rdma"),
    "rdma-no-srq": Variant("bench.transport=rdma nvtgt_rdma.use_srq=0"),
    "rdma-mr": Variant("bench.transport=rdma nvtgt_rdma.force_mr=1 ib_core.force_mr=1"),
    "iwarp": Variant("bench.transport=rdma bench.rdma=siw"),
}


@dataclasses.dataclass(frozen=True)
class Test:
    """One test, as tests/run names it: RUNG/NAME+VARIANT[KERNEL]."""

    rung: str
    name: str               # without a variant
    path: str               # the file that it is
    kernel: str = ""        # of the guest, or of the headers
    variant: str = ""
    timeout: int = 0        # seconds, under TCG
    cpus: int = 0
    append: str = ""
    nightly: bool = False
    needs: tuple = ()
    own: bool = True        # its header asks for this kernel

    @property
    def short(self):
        """As one says it on the command line."""
        return "%s/%s%s" % (self.rung, self.name, "+" + self.variant if self.variant else "")

    @property
    def full(self):
        on = self.kernel if self.rung == "functional" else ""
        return self.short + ("[%s]" % on if on else "")

    @property
    def kind(self):
        """Tests of one kind can share a guest."""
        return self.kernel, self.cpus, self.append


class ChoiceError(Exception):
    """Which tests are meant cannot be told: mistakes in headers, a line for each; or in a name."""


HEADER = re.compile(r"# ([a-z-]+): *(.*?) *$")
WORDS = {
    "functional": {"guards", "kernels", "timeout", "cpus", "variants", "nightly", "needs"},
    "unit": {"guards", "kernels", "nightly"},
    "static": set(),
    "selftest": {"expect", "timeout"},
}


def read_header(path):
    """[(word, value)]: of the comments at a script's top."""
    found = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            if not line.startswith("#"):
                break
            match = HEADER.match(line)
            if match:
                found.append((match[1], match[2]))
    return found


class Reader:
    """Reads the headers of a tree and collects what is wrong with them."""

    def __init__(self, tests=TESTS):
        self.tests = tests
        self.all_kernels = kernels()
        self.mistakes = []

    def wrong(self, path, text):
        self.mistakes.append("%s: %s" % (os.path.relpath(path, self.tests), text))

    def scripts(self, folder, ending=".sh"):
        top = os.path.join(self.tests, folder)
        for where, _, names in sorted(os.walk(top)):
            for name in sorted(names):
                if name.endswith(ending):
                    path = os.path.join(where, name)
                    yield path, os.path.relpath(path, top)[:-len(ending)]

    def header(self, rung, path):
        if not os.access(path, os.X_OK):
            self.wrong(path, "cannot be executed, so it would not be run: chmod +x")
        lines = read_header(path)
        header = dict(lines)
        if len(lines) > len(header):
            self.wrong(path, "the header has a word twice")
        for word in sorted(set(header) - WORDS[rung]):
            self.wrong(path, 'the header\'s word "%s" is unknown' % word)
        return header

    def number(self, path, header, word, default):
        value = header.get(word, str(default))
        if not re.fullmatch("[1-9][0-9]*", value):
            self.wrong(path, "%s: %s is no number" % (word, value))
            return default
        return int(value)

    def known(self, path, header, word, what):
        """The words of a line; each is one of these."""
        values = header.get(word, "").split()
        if word in header and not values:
            self.wrong(path, "%s: nothing" % word)
        for value in values:
            if value not in what:
                self.wrong(path, "%s: %s is unknown; known are: %s" % (word, value, " ".join(what)))
        return [value for value in values if value in what]

    def places(self, path, header):
        """(kernel, variant) of each time that a functional test runs."""
        on = self.known(path, header, "kernels", self.all_kernels + ["all", "none", "debug"]) or [USUAL]
        if "all" in on:
            on = list(self.all_kernels)
        # the quick answer first
        on = [USUAL] * (USUAL in on) + [k for k in on if k not in (USUAL, "none")]
        yield from ((DEBUG if k == "debug" else k, "") for k in on)
        variants = [v + at for v in VARIANTS for at in [""] + ["@" + k for k in self.all_kernels]]
        for word in self.known(path, header, "variants", variants):
            variant, _, kernel = word.partition("@")
            yield kernel or USUAL, variant

    def functional(self):
        for path, name in self.scripts("functional"):
            header = self.header("functional", path)
            if not header.get("guards"):
                self.wrong(path, 'no line "# guards:" says what breaks when it fails')
            places = list(self.places(path, header))
            rare = self.known(path, header, "nightly", ["all"] + sorted(
                {k for k, _ in places} | {v for _, v in places if v} | {"%s@%s" % (v, k) for k, v in places if v}))
            needs = tuple(self.known(path, header, "needs", NEEDS))
            for kernel, variant in places:
                words = VARIANTS.get(variant, Variant())
                yield Test("functional", name, path, kernel, variant,
                           self.number(path, header, "timeout", 120),
                           words.cpus or self.number(path, header, "cpus", 2), words.append,
                           bool({"all", variant or kernel, "%s@%s" % (variant, kernel)} & set(rare)), needs)

    def others(self):
        for path, name in self.scripts("static"):
            self.header("static", path)
            yield Test("static", name, path)
        for path, name in self.scripts("unit", ".c"):
            if name.startswith("test_"):
                yield Test("unit", name[5:], path, "7.2")
        for path, name in self.scripts("unit"):
            if "/" in name:
                continue
            header = self.header("unit", path)
            on = self.known(path, header, "kernels", self.all_kernels) or ["7.2"]
            yield Test("unit", name, path, on[0], nightly="nightly" in header)
        build = os.path.join(self.tests, "vm/build")
        for kernel in self.all_kernels:
            yield Test("build", kernel, build, kernel)
        yield Test("build", "tools", build)
        yield Test("selftest", "guests", os.path.join(self.tests, "vm/guests.py"), USUAL)
        yield Test("perf", "bench", os.path.join(self.tests, "perf/bench"))
        yield Test("perf", "instructions", os.path.join(self.tests, "perf/in_guests.py"), USUAL)

    def selftests(self):
        """The judge's own tests: (test, the verdict that it must get)."""
        for path, name in self.scripts("vm/selftest"):
            header = self.header("selftest", path)
            yield (Test("selftest", name, path, USUAL, timeout=self.number(path, header, "timeout", 60), cpus=2),
                   header.get("expect", "ok"))

    def all(self):
        """Every test there is. Raises ChoiceError."""
        found = list(self.others()) + list(self.functional())
        list(self.selftests())
        if self.mistakes:
            raise ChoiceError("\n".join(self.mistakes))
        return found


def on_kernels(tests, wanted):
    """Those that can run on the wanted kernels, each functional one on each of them."""
    found = {}
    for test in tests:
        if test.rung != "functional":
            if not test.kernel or test.kernel in wanted or test.rung in ("static", "unit"):
                found[test.full] = test
            continue
        for kernel in wanted:
            own = test.kernel == kernel or (test.kernel == USUAL and kernel == DEBUG)
            there = dataclasses.replace(test, kernel=kernel, own=own, nightly=test.nightly and own)
            if own or there.full not in found:
                found[there.full] = there
    return list(found.values())


def choose(tests, words=(), wanted=(), everything=False):
    """
    What a command line means. Without words all tests but the nightly ones, which everything or their
    name bring in; words are rungs, names, or patterns of these. On wanted kernels a test runs that its
    header has there, and one whose name is given.
    """
    tests = on_kernels(tests, wanted) if wanted else [t for t in tests if t.kernel != DEBUG]
    found = []
    for test in tests:
        named = hit = not words
        for word in words:
            word = re.sub(r"^tests/|\.sh$", "", word)
            if word in (test.short, test.full):
                named = hit = True
            elif word == test.rung or fnmatch.fnmatchcase(test.short, word):
                hit = True
        exact = named and bool(words)
        if hit and (test.own or exact) and (everything or exact or not test.nightly):
            found.append(test)
    return found


def count(names, planned):
    """
    How a run ended: (passed, failed, skipped, lost). names: of the tests, by passed, failed, error (in set-up or
    teardown) and skipped; a test that has failed in any way has not passed. lost: planned, and without a verdict.
    """
    failed = names["failed"] | names["error"]
    passed, skipped = names["passed"] - failed, names["skipped"] - failed
    return len(passed), len(failed), len(skipped), max(0, planned - len(passed | failed | skipped))


def add_options(add):
    """The options that choose tests, with argparse's or pytest's function."""
    add("--select", metavar="TEST", action="append", default=[], help="a rung, a test's name or a pattern")
    add("--kernel", metavar="KERNEL", action="append", default=[], choices=kernels() + [DEBUG])
    add("--all", action="store_true", help="the nightly ones as well")


def asked_for(options):
    """The tests that these options choose, at least one. Raises ChoiceError."""
    tests = Reader().all()
    for word in options.select:
        if not choose(tests, [word], options.kernel, options.all):
            raise ChoiceError("no test is called %s%s (tests/run --list names them; --all has the nightly ones)" % (
                word, " on " + ", ".join(options.kernel) if options.kernel else ""))
    return choose(tests, options.select, options.kernel, options.all)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser.add_argument)
    parser.add_argument("--check", metavar="TESTS", help="only check the headers below this folder")
    args = parser.parse_args()
    try:
        if args.check:
            Reader(args.check).all()
            return
        tests = asked_for(args)
    except ChoiceError as e:
        sys.exit(str(e))
    for test in tests:
        print(test.full)


if __name__ == "__main__":
    main()
