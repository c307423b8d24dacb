#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Hosts that do not read."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme, pdu  # noqa: E402
from nvmetcp.cases import need, status  # noqa: E402

MIB = 1 << 20
BUDGET = 16 * MIB
# as many as an emulated machine connects in some seconds; what is checked is the cost of each
READERS = int(os.environ.get("SLOW_READERS", "1000"))
QUEUES = 100			# of a controller
READ = 64 * 1024
DEPTH = 8
# NVTGT_TCP_UNHELD, and the connection itself: slots, headers, both ends' sockets and what the peer's holds
EACH = 64 * 1024 + 48 * 1024
# TCP's own for data in a socket whose peer has announced a window of some KiB: it makes small packets then, and
# their descriptions are charged to the socket's send buffer alone
PACKETS = 96 * 1024


def memory_in_use():
    """Bytes of the machine's memory that cannot be had, but for this process's own and slabs; and of slabs."""
    with open("/proc/meminfo", encoding="ascii") as f:
        info = {line.split(":")[0]: int(line.split()[1]) for line in f}
    with open("/proc/self/status", encoding="ascii") as f:
        own = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    slabs = info["SUnreclaim"]
    return (info["MemTotal"] - info["MemAvailable"] - own - slabs) * 1024, slabs * 1024


def connect_many(c, count):
    """I/O queues of a controller, all at a time."""
    peers = [c.peer(icreq=False, rcvbuf=4096) for _ in range(count)]
    for p in peers:
        p.send(pdu.ic_req(hpda=0, digest=0, maxr2t=0))
    for p in peers:
        p.take_icresp()
    made = []
    for qid, p in enumerate(peers, 1):
        cmd, raw = ctrl.connect(p, c.host, c.subnqn, qid=qid, sqsize=31, cntlid=c.cntlid, held=True)
        p.qid = qid
        p.send(raw)
        made.append(cmd)
    for p, cmd in zip(peers, made):
        status(p.wait(cmd), 0)
        p.connected, p.sqsize = True, 31
    return peers


def settled(seconds):
    """Memory in use when it has not grown for a while, as memory_in_use()."""
    most, since = memory_in_use(), time.monotonic()
    deadline = since + seconds
    while time.monotonic() - since < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        now = memory_in_use()
        if sum(now) > sum(most) + MIB:
            most, since = now, time.monotonic()
    return most


def memory_of_those_who_do_not_read(env):
    """
    Many readers of 512 KiB each that take nothing; then a host that does take what it asked for, when their time
    is over, or when they have gone, if they are so many that their time has to be long.
    """
    hosts = []
    try:
        before = memory_in_use()
        readers = []
        while len(readers) < READERS:
            c = env.controller()
            hosts.append(c)
            readers += connect_many(c, min(QUEUES, READERS - len(readers)))
        connected = memory_in_use()
        # the same bytes for all: what they ask for never gets a place in this program
        asked = [readers[0].submit(nvme.READ, nsid=2, read=READ, held=True, **nvme.rw(0, READ // 4096))[1]
                 for _ in range(DEPTH)]
        # so many that have all the time they want: each gets its share before any asks for more
        for first, last in [(0, 1), (1, DEPTH)] if READERS > 1000 else [(0, DEPTH)]:
            for q in readers:
                q.send(b"".join(asked[first:last]))
            most = settled(30 * env.slow)
        used, slabs = most[0] - before[0], most[1] - before[1]
        print("# %d readers: %d MiB and %d of slabs, %d in all when they were connected" %
              (len(readers), used >> 20, slabs >> 20, (sum(connected) - sum(before)) >> 20))
        need(used <= BUDGET + EACH * len(readers), "%d readers cost %d MiB, more than %d", len(readers),
             used >> 20, (BUDGET + EACH * len(readers)) >> 20)
        need(slabs <= PACKETS * len(readers), "%d readers cost %d MiB of slabs, more than %d", len(readers),
             slabs >> 20, (PACKETS * len(readers)) >> 20)
        if READERS > 1000:
            while hosts:
                hosts.pop().close()
        with env.controller() as c:
            q = c.io_queue()
            status(q.run(nvme.READ, nsid=1, read=MIB, **nvme.rw(0, 2048)), 0)
    finally:
        for c in hosts:
            c.close()


if __name__ == "__main__":
    sys.exit(cases.main([memory_of_those_who_do_not_read]))
