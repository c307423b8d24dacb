# SPDX-License-Identifier: GPL-2.0
"""
A program of many small cases: one line each, and an exit status. Where the target is
comes from the environment: NVTGT_ADDR, NVTGT_PORT, NVTGT_NQN and what the shell wrapper adds.
"""

import contextlib
import fnmatch
import os
import random
import sys
import time
import traceback

from . import ctrl, nvme
from .pdu import Violation
from .peer import Closed, Peer, Silence, Terminated

FAILURES = (Violation, Closed, Silence, Terminated, OSError, AssertionError, KeyError, IndexError, ValueError)
ROWS_SHOWN = 12
# each costs a time-out: after so many a case gives up
SILENCES = 2


class Env:
    """Where the target is, and the rows that went wrong in the case that runs."""

    def __init__(self):
        env = os.environ
        self.address = env.get("NVTGT_ADDR", "127.0.0.1")
        self.port = int(env.get("NVTGT_PORT", "4420"))
        self.nqn = env.get("NVTGT_NQN", "nqn.2026-11.test:hostile")
        self.root = env.get("NVTGT_ROOT", "/sys/kernel/config/nvtgt")
        self.timeout = float(env.get("NVTGT_TIMEOUT", "30"))
        # what is timed grows with the time-outs: a busy machine, a debug kernel
        self.slow = max(1.0, self.timeout / 30)
        seed = int(env.get("NVTGT_SEED", "20261120"))
        self.random = random.Random(seed)
        self.bad = []
        self.rows = 0
        self.silences = 0

    def get(self, name, default=None):
        return os.environ.get(name, default)

    def peer(self, **kw):
        kw.setdefault("timeout", self.timeout)
        return Peer(self.address, self.port, **kw)

    def controller(self, nqn=None, host=None, **kw):
        kw.setdefault("timeout", self.timeout)
        return ctrl.Controller(self.address, self.port, nqn or self.nqn, host, **kw)

    @contextlib.contextmanager
    def row(self, name, *args):
        """One row of a table: what goes wrong in it is noted, and the table goes on."""
        self.rows += 1
        try:
            yield
        except FAILURES as why:
            if isinstance(why, Silence):
                self.silences += 1
                if self.silences > SILENCES:
                    raise
            self.bad.append("%s: %s%s" % (name % args if args else name,
                                          "" if isinstance(why, (Violation, AssertionError)) else type(why).__name__ + " ",
                                          why))

    def alive(self):
        """A well-behaved host still gets a controller."""
        with self.controller() as c:
            c.identify_data(1)


def same(got, want, text="value"):
    """got is want, or one of a set of it."""
    legal = want if isinstance(want, (set, frozenset)) else {want}
    if got not in legal:
        show = sorted(hex(v) if isinstance(v, int) else str(v) for v in legal)
        raise Violation("%s is %s, wanted %s" % (text, hex(got) if isinstance(got, int) else got, " or ".join(show)))


def status(cmd, want):
    """The command ended with this status, or one of these."""
    legal = want if isinstance(want, (set, frozenset)) else {want}
    if cmd.status not in legal:
        raise Violation("status %03xh, wanted %s" % (cmd.status, " or ".join("%03xh" % s for s in sorted(legal))))
    return cmd


def need(true, text, *args):
    if not true:
        raise Violation(text % args if args else text)


def write_attr(path, value):
    """A configfs attribute."""
    with open(path, "w", encoding="ascii") as f:
        f.write("%s\n" % value)


def until(seconds, test, text):
    """Poll until test() is true."""
    deadline = time.monotonic() + seconds
    while True:
        got = test()
        if got:
            return got
        if time.monotonic() > deadline:
            raise Violation("not within %d s: %s" % (seconds, text))
        time.sleep(0.05)


def main(cases, argv=None):
    """Run the cases (functions of an Env) whose names match the arguments, or all."""
    wanted = (sys.argv[1:] if argv is None else argv) or ["*"]
    env, failed, ran = Env(), 0, 0
    for fn in cases:
        name = fn.__name__.replace("_", "-")
        if not any(fnmatch.fnmatch(name, w) for w in wanted):
            continue
        ran += 1
        env.bad, env.rows, env.silences = [], 0, 0
        start = time.monotonic()
        try:
            fn(env)
            env.alive()
        except FAILURES as why:
            where = traceback.extract_tb(why.__traceback__)
            line = next((f.lineno for f in reversed(where) if f.filename == fn.__code__.co_filename), 0)
            env.bad.append("line %d: %s %s" % (line, type(why).__name__, why))
        took = "%.1f s" % (time.monotonic() - start)
        if env.rows:
            took += ", %d rows" % env.rows
        print("%s %s (%s)" % ("not ok" if env.bad else "ok", name, took), flush=True)
        for text in env.bad[:ROWS_SHOWN]:
            print("    %s" % text, flush=True)
        if len(env.bad) > ROWS_SHOWN:
            print("    and %d more" % (len(env.bad) - ROWS_SHOWN), flush=True)
        failed += bool(env.bad)
    if not ran:
        print("not ok no case of that name")
        return 1
    print("%d cases, %d failed" % (ran, failed), flush=True)
    return 1 if failed else 0


__all__ = ["Env", "main", "same", "status", "need", "until", "write_attr", "nvme", "ctrl"]
