#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Allocations of the target fail at random: commands fail or connections end; nothing hangs, nothing is lost."""

import contextlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme  # noqa: E402
from nvmetcp.cases import need, status, write_attr  # noqa: E402
from nvmetcp.peer import Closed, Terminated  # noqa: E402

DEBUG = "/sys/kernel/debug"
MODULES = ("nvtgt_tcp", "nvtgt", "nvtgt_bdev")


def text_of(module):
    """Where a module's code lies."""
    with open("/proc/modules", encoding="ascii") as f:
        for line in f:
            words = line.split()
            if words[0] == module:
                start = int(words[5], 16)
                return start, start + int(words[1])
    raise cases.Violation("%s is not loaded" % module)


@contextlib.contextmanager
def failing(fault, module, percent):
    """This share of the allocations that the module asks for fails."""
    folder = os.path.join(DEBUG, fault)
    start, end = text_of(module)
    values = {"require-start": start, "require-end": end, "stacktrace-depth": 32, "verbose": 0, "interval": 1,
              "times": -1, "space": 0, "ignore-gfp-wait": "N", "probability": percent}
    if fault == "fail_page_alloc":
        values.update({"min-order": 0, "ignore-gfp-highmem": "N"})
    for name, value in values.items():
        write_attr(os.path.join(folder, name), value)
    try:
        yield
    finally:
        write_attr(os.path.join(folder, "probability"), 0)
        write_attr(os.path.join(folder, "require-start"), 0)


def talk(env, i):
    """A host's whole life: each step may be refused, none may hang."""
    digests = {"hdgst": bool(i & 1), "ddgst": bool(i & 2), "maxr2t": i & 3}
    with env.controller(sqsize=(31, 127)[i & 1], **digests) as c:
        c.identify(1)
        c.identify(2)
        c.log(2, 512)
        c.set_feature(7, 0x30003)
        for qid in (1, 2):
            q = c.io_queue(qid, sqsize=127)
            made = [q.submit(nvme.WRITE, nsid=1, out=bytes(65536), **nvme.rw(k * 128, 128)) for k in range(6)]
            made += [q.submit(nvme.WRITE, nsid=1, out=bytes(4096), inline=True, **nvme.rw(k * 8, 8)) for k in range(6)]
            made += [q.submit(nvme.READ, nsid=1, read=131072, **nvme.rw(k * 128, 256)) for k in range(6)]
            made += [q.submit(nvme.READ, nsid=2, read=8192, **nvme.rw(k, 2)) for k in range(6)]
            made += [q.submit(nvme.DSM, nsid=1, out=bytes(16), inline=True, cdw11=4), q.submit(nvme.FLUSH, nsid=1),
                     q.submit(nvme.WRITE_ZEROES, nsid=1, **nvme.rw(0, 512))]
            q.wait(*made)


def rounds(env, fault):
    served = 0
    for module in MODULES:
        for percent in (2, 20):
            with env.row("%s, %d %% of %s's", fault, percent, module):
                with failing(fault, module, percent):
                    for i in range(4):
                        try:
                            talk(env, i)
                            served += 1
                        except (Closed, Terminated, ConnectionError):
                            pass
                        except cases.Violation as why:
                            # a command that was refused for want of memory; what is malformed is not excused
                            need("status" in str(why) or "Connect" in str(why) or "CSTS" in str(why), "%s", why)
                env.alive()
    need(served, "no conversation came through at all")


def slab_fails(env):
    rounds(env, "failslab")


def pages_fail(env):
    rounds(env, "fail_page_alloc")


def data_is_right_afterwards(env):
    with env.controller() as c:
        q = c.io_queue()
        data = ctrl.pattern(131072)
        status(q.run(nvme.WRITE, nsid=1, out=data, **nvme.rw(0, 256)), 0)
        need(q.run(nvme.READ, nsid=1, read=131072, **nvme.rw(0, 256)).data == data, "data differs")


def configuration_fails(env):
    """Objects made, enabled, linked and removed meanwhile: each step may fail, and all of it goes away."""
    name = "nqn.2026-11.test:memory"
    subsys = os.path.join(env.root, "subsystems", name)
    ns = os.path.join(subsys, "namespaces/1")
    link = os.path.join(env.get("NVTGT_PORT_DIR"), "subsystems", name)

    def attempt(fn, *args):
        try:
            fn(*args)
            return True
        except OSError:
            return False

    done = 0
    for percent in (2, 10, 30):
        for fault in ("failslab", "fail_page_alloc"):
            for _ in range(6):
                with failing(fault, "nvtgt", percent):
                    ok = attempt(os.mkdir, subsys) and attempt(write_attr, subsys + "/attr_allow_any_host", 1)
                    ok = ok and attempt(os.mkdir, ns) and attempt(write_attr, ns + "/backend", "null")
                    ok = ok and attempt(write_attr, ns + "/backend_options", "size=1g")
                    ok = ok and attempt(write_attr, ns + "/enable", 1) and attempt(os.symlink, subsys, link)
                    done += ok
                for fn, path in ((os.unlink, link), (os.rmdir, ns), (os.rmdir, subsys)):
                    if os.path.lexists(path):
                        fn(path)
    need(done, "not once was everything made")


if __name__ == "__main__":
    sys.exit(cases.main([slab_fails, pages_fail, data_is_right_afterwards, configuration_fails]))
