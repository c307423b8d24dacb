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
# How far up the stack the module is looked for: deep enough for what it allocates and for the socket of an
# accepted connection. Not for the RST at a connection's end: TCP does not try that again without memory, and
# a peer that hears nothing proves nothing. Each allocation in the kernel pays for the walk.
DEPTH = 10
# how many may fail; the kernel counts it down
TIMES = 1 << 20


def text_of(module):
    """Where a module's functions lie, to the end of the page that the last begins in."""
    with open("/proc/kallsyms", encoding="ascii") as f:
        lines = (line.split() for line in f)
        found = [int(words[0], 16) for words in lines if words[3:] == ["[%s]" % module] and words[1] in "tT"]
    need(found, "%s is not loaded", module)
    return min(found), (max(found) | 0xFFF) + 1


class Faults:
    """One of the kernel's fault injections, aimed at a module."""

    def __init__(self, fault, module):
        self.folder = os.path.join(DEBUG, fault)
        start, end = text_of(module)
        values = {"probability": 0, "require-start": start, "require-end": end, "stacktrace-depth": DEPTH,
                  "verbose": 0, "interval": 1, "space": 0, "ignore-gfp-wait": "N"}
        if fault == "fail_page_alloc":
            values.update({"min-order": 0, "ignore-gfp-highmem": "N"})
        for name, value in values.items():
            self.set(name, value)
        self.failed = 0

    def set(self, name, value):
        write_attr(os.path.join(self.folder, name), value)

    @contextlib.contextmanager
    def failing(self, percent):
        """This share of the allocations that the module asks for fails."""
        self.set("times", TIMES)
        self.set("probability", percent)
        try:
            yield
        finally:
            self.set("probability", 0)
            with open(os.path.join(self.folder, "times"), encoding="ascii") as f:
                self.failed += TIMES - int(f.read())


def talk(env, i):
    """A host's whole life: each step may be refused, none may hang. How many commands were refused."""
    digests = {"hdgst": bool(i & 1), "ddgst": bool(i & 2), "maxr2t": i & 3}
    with env.controller(sqsize=(31, 127)[i & 1], **digests) as c:
        made = [c.identify(1), c.identify(2), c.log(2, 512), c.set_feature(7, 0x30003)]
        for qid in (1, 2):
            q = c.io_queue(qid, sqsize=127)
            todo = [q.submit(nvme.WRITE, nsid=1, out=bytes(65536), **nvme.rw(k * 128, 128)) for k in range(6)]
            todo += [q.submit(nvme.WRITE, nsid=1, out=bytes(4096), inline=True, **nvme.rw(k * 8, 8)) for k in range(6)]
            todo += [q.submit(nvme.READ, nsid=1, read=131072, **nvme.rw(k * 128, 256)) for k in range(6)]
            todo += [q.submit(nvme.READ, nsid=2, read=8192, **nvme.rw(k, 2)) for k in range(6)]
            todo += [q.submit(nvme.DSM, nsid=1, out=bytes(16), inline=True, cdw11=4), q.submit(nvme.FLUSH, nsid=1),
                     q.submit(nvme.WRITE_ZEROES, nsid=1, **nvme.rw(0, 512))]
            made += q.wait(*todo)
    for cmd in made:
        need(cmd.status or cmd.got == len(cmd.inp), "success with %d of %d bytes", cmd.got, len(cmd.inp))
    return sum(1 for cmd in made if cmd.status)


def rounds(env, fault):
    ended = served = refused = failed = 0
    for module in MODULES:
        faults = Faults(fault, module)
        for percent in (2, 20):
            with env.row("%s, %d %% of %s's", fault, percent, module):
                for i in range(4):
                    with faults.failing(percent):
                        try:
                            refused += talk(env, i)
                            served += 1
                        except (Closed, Terminated, ConnectionError, ctrl.Refused):
                            ended += 1
                env.alive()
        print("    %s of %s: %d failed" % (fault, module, faults.failed), flush=True)
        # the backend asks for little itself
        need(faults.failed or module == "nvtgt_bdev", "no allocation of %s failed", module)
        failed += faults.failed
    print("    %d hosts came through, with %d commands refused; %d did not" % (served, refused, ended), flush=True)
    need(served, "no host came through at all")
    need(ended or refused, "no host noticed that %d allocations failed", failed)


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


def attempt(fn, *args):
    try:
        fn(*args)
        return True
    except OSError:
        return False


def configuration_fails(env):
    """Objects made, enabled, linked and removed meanwhile: each step may fail, and all of it goes away."""
    name = "nqn.2026-11.test:memory"
    subsys = os.path.join(env.root, "subsystems", name)
    ns = os.path.join(subsys, "namespaces/1")
    port = env.get("NVTGT_PORT_DIR")
    link = os.path.join(port, "subsystems", name)
    host = os.path.join(env.root, "hosts", name)
    referral = os.path.join(port, "referrals", name)
    steps = ((os.mkdir, host), (os.mkdir, referral), (os.mkdir, subsys),
             (write_attr, subsys + "/attr_allow_any_host", 1), (os.mkdir, ns), (write_attr, ns + "/backend", "null"),
             (write_attr, ns + "/backend_options", "size=1g"), (write_attr, ns + "/enable", 1),
             (os.symlink, subsys, link))
    undo = ((os.unlink, link), (os.rmdir, ns), (os.rmdir, subsys), (os.rmdir, referral), (os.rmdir, host))
    done = refused = 0
    faults = Faults("failslab", "nvtgt")
    for percent in (2, 10, 30):
        for _ in range(20):
            with faults.failing(percent):
                # the first that fails ends it
                ok = all(attempt(*step) for step in steps)
            done += ok
            refused += not ok
            for fn, path in undo:
                if os.path.lexists(path):
                    fn(path)
    print("    %d failed; made %d times, refused %d times" % (faults.failed, done, refused), flush=True)
    need(done, "not once was everything made")
    need(refused, "nothing was refused")


if __name__ == "__main__":
    sys.exit(cases.main([slab_fails, pages_fail, data_is_right_afterwards, configuration_fails]))
