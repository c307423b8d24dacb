#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Allocations that nvtgt-rdma asks for fail at random: refusals, errors, ends; nothing hangs, nothing is lost."""

import os
import subprocess
import sys

HERE = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(HERE, "../../lib"))
sys.path.insert(0, os.path.join(HERE, "../hostile"))
import memory  # noqa: E402
from nvmetcp import cases  # noqa: E402
from nvmetcp.cases import need  # noqa: E402

PEER = os.path.join(HERE, "../../../.tools/usr/lib/nvtgt-tests/rdmapeer")


def peer(*words):
    done = subprocess.run([PEER, *words], stdout=subprocess.PIPE, text=True, check=False)
    need(not done.returncode, "%s: %s", " ".join(words), done.stdout.strip())
    return done.stdout.strip()


def lives(env, fault, percents):
    faults = memory.Faults(fault, "nvtgt_rdma")
    for percent in percents:
        with env.row("%d per cent", percent):
            with faults.failing(percent):
                said = peer("life", "12")
            print("    # %d per cent: %s" % (percent, said))
    need(faults.failed, "nothing has failed: this proves nothing")
    print("    # %d allocations have failed" % faults.failed)
    peer("order")


def slabs(env):
    lives(env, "failslab", (1, 5, 30))


def pages(env):
    lives(env, "fail_page_alloc", (2, 20))


if __name__ == "__main__":
    # what the module itself asks for, and not a driver's vmalloc() for it, which complains in the log
    memory.DEPTH = 6
    cases.Env.alive = lambda env: None     # that is TCP's
    sys.exit(cases.main([slabs, pages]))
