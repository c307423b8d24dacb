#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What commands cost over RDMA in steady state: calls to the device, work requests, completions."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from nvmetcp import cases  # noqa: E402
from nvmetcp.cases import need  # noqa: E402
from structure import Trace, in_steady_state  # noqa: E402

QUEUES = "/sys/kernel/debug/nvtgt/connections"
PEER = os.path.join(os.path.dirname(__file__), "../../../.tools/usr/lib/nvtgt-tests/rdmapeer")
BATCH, WARM, COUNTED = 32, 8, 16


def costs():
    """The counters of queue 1."""
    with open(QUEUES, encoding="ascii") as f:
        line = next(line for line in f if " qid 1 live" in line)
    return {name: int(number) for name, number in re.findall(r"(\w+) (\d+)", line)}


class Host:
    """A host that sends batches of 32, each in one call."""

    def __enter__(self):
        self.process = subprocess.Popen([PEER, "batches"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer("ready")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(60)

    def answer(self, want):
        line = self.process.stdout.readline().strip()
        need(line == want, "the host says %r", line)

    def batches(self, what, blocks, number):
        self.process.stdin.write("%s %d %d\n" % (what, blocks, number))
        self.process.stdin.flush()
        self.answer("ok")


def rows(env, what, requests):
    with Host() as host:
        host.batches(what, 8, WARM)
        with Trace() as trace:
            for blocks in (1, 8):
                with env.row("%s of %d blocks", what, blocks):
                    host.batches(what, blocks, WARM)
                    # pages go round among buffers, pieces and commands: until none is made
                    for _ in range(6):
                        before = costs()
                        with trace.on() as counts:
                            host.batches(what, blocks, COUNTED)
                        if not counts["allocations"]:
                            break
                    after = costs()
                    cost = {name: after[name] - before[name] for name in after}
                    commands = COUNTED * BATCH
                    print("    # %s of %d bytes: %d commands: %d posts, %d work requests, %d completions, %d wake-ups" % (
                        what, blocks * 512, cost["commands"], cost["posts"], cost["requests"], cost["completions"],
                        counts["wakeups"]))
                    need(cost["commands"] == commands, "%d commands", cost["commands"])
                    need(cost["requests"] == requests * commands, "%d work requests for %d commands",
                         cost["requests"], commands)
                    # the debug kernel's soft-RoCE is so slow that a batch arrives one by one
                    if os.environ.get("DEBUG_KERNEL"):
                        need(not counts["works"], "%d works queued: %s", len(counts["works"]), counts["works"][:2])
                        continue
                    in_steady_state(counts, tcp=False)
                    # one chain for what a pass has: the device may deliver a batch in several
                    need(cost["posts"] <= commands / 4, "%d posts for %d commands", cost["posts"], commands)
                    # one for each capsule; of the rest one for each post and one in 16 requests
                    need(cost["completions"] <= commands + cost["posts"] + cost["requests"] / 8,
                         "%d completions for %d commands", cost["completions"], commands)


def reads(env):
    """A read: a write of its data and a response, in one chain with those of the pass."""
    rows(env, "read", 2)


def writes(env):
    """A write with its data in the capsule: a response alone."""
    rows(env, "write", 1)


if __name__ == "__main__":
    cases.Env.alive = lambda env: None     # that is TCP's
    sys.exit(cases.main([reads, writes]))
