#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Hosts that want more memory than there is."""

import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme  # noqa: E402
from nvmetcp.cases import need, status, write_attr  # noqa: E402
from nvmetcp.peer import Closed, Silence  # noqa: E402

MIB = 1 << 20
BUDGET = 16


def write_1m(q):
    """A write that asks for a MiB and does not send it."""
    return q.submit(nvme.WRITE, nsid=1, out=bytes(MIB), auto=False, **nvme.rw(0, 2048))


def quiet(q, cmd):
    """Nothing comes for a while."""
    try:
        q.wait(cmd, timeout=0.5)
    except Silence:
        pass
    need(not cmd.done, "a command was answered without memory")


def what_comes_back_is_used(env):
    """
    All memory is asked for. Two reads of another host wait in one queue; when there is memory for the
    first alone it is answered, though the second still waits.
    """
    with env.controller() as a, env.controller() as b:
        qa, qb = a.io_queue(), b.io_queue()
        writes = [write_1m(qa) for _ in range(BUDGET)]
        # an idle reactor may keep some for a second
        for cmd in writes:
            qa.take_r2t(cmd)
        first = qb.submit(nvme.READ, nsid=1, read=MIB // 2, **nvme.rw(0, 1024))
        second = qb.submit(nvme.READ, nsid=1, read=MIB, **nvme.rw(0, 2048))
        quiet(qb, first)
        qa.answer(writes[0], writes[0].r2ts[0])
        status(qa.wait(writes[0]), 0)
        status(qb.wait(first), 0)
        for cmd in writes[1:]:
            qa.answer(cmd, cmd.r2ts[0])
        for cmd in writes[1:]:
            status(qa.wait(cmd), 0)
        status(qb.wait(second), 0)


def those_who_are_awake_keep_none(env):
    """
    All memory is asked for while others do what takes none, more often than the pool looks whether a
    reactor is idle: what they keep from before is given back all the same.
    """
    others = [env.controller() for _ in range(6)]
    try:
        queues = [c.io_queue() for c in others]
        for q in queues:
            status(q.run(nvme.READ, nsid=1, read=4096, **nvme.rw(0, 8)), 0)
        with env.controller() as a:
            qa = a.io_queue()
            writes = [write_1m(qa) for _ in range(BUDGET)]
            start = time.monotonic()
            while not all(cmd.r2ts for cmd in writes):
                try:
                    qa.pump(0.1)
                except Silence:
                    for q in queues:
                        status(q.run(nvme.FLUSH, nsid=1), 0)
                need(time.monotonic() - start < qa.timeout, "%d of %d writes are asked for",
                     sum(bool(cmd.r2ts) for cmd in writes), BUDGET)
            for cmd in writes:
                qa.answer(cmd, cmd.r2ts[0])
            for cmd in writes:
                status(qa.wait(cmd), 0)
    finally:
        for c in others:
            c.close()


def serve(queues, seconds):
    """Take what has come on any of the queues, for hosts do not wait for one another."""
    deadline = time.monotonic() + seconds
    while any(q.pending for q in queues):
        idle = True
        for q in queues:
            if q.buf or q.readable(0):
                q.pump()
                idle = False
        need(time.monotonic() < deadline, "%d commands have not ended", sum(len(q.pending) for q in queues))
        if idle:
            time.sleep(0.001)


def many_rounds(env):
    """Six hosts with reads and writes of several sizes, far more than there is: all of them end."""
    hosts = [env.controller(sqsize=31) for _ in range(6)]
    try:
        queues = [c.io_queue(sqsize=31) for c in hosts]
        for _ in range(3):
            made = []
            for q in queues:
                for i in range(24):
                    size = (4096, 65536, 524288, MIB)[i % 4]
                    if i & 4:
                        made.append((q, q.submit(nvme.WRITE, nsid=1, out=bytes(size), **nvme.rw(0, size // 512))))
                    else:
                        made.append((q, q.submit(nvme.READ, nsid=1, read=size, **nvme.rw(0, size // 512))))
            serve(queues, 2 * env.timeout)
            for q, cmd in made:
                status(cmd, 0)
    finally:
        for c in hosts:
            c.close()


def keep_busy(queues, depth):
    """Each queue has that many small reads outstanding; how many have ended."""
    ended = 0
    for i, q in enumerate(queues):
        before = q.finished
        while q.buf or q.readable(0):
            q.pump()
        ended += q.finished - before
        while len(q.pending) < depth:
            q.submit(nvme.READ, nsid=4 + i, read=4096, **nvme.rw(8 * len(q.pending), 8))
    return ended


def large_ones_among_small_ones(env):
    """
    A MiB is left. Hosts of one CPU read 4 KiB at a time, each from a device of its own that takes a while,
    longer than this program needs to ask again and never the same time, so that some of it is always in use; a
    host of another CPU reads the whole MiB, again and again. Each of these reads waits for the small ones that
    were before it, and few others pass it.
    """
    depth, rounds = 8, 6
    hosts = [env.controller(sqsize=31), ctrl.Controller(env.address, 4422, env.nqn, timeout=env.timeout)]
    hosts += [ctrl.Controller(env.address, 4421, env.nqn, timeout=env.timeout) for _ in range(4)]
    try:
        qa, qb = hosts[0].io_queue(), hosts[1].io_queue()
        small = [c.io_queue() for c in hosts[2:]]
        writes = [write_1m(qa) for _ in range(BUDGET - 1)]
        for cmd in writes:
            qa.take_r2t(cmd)
        # they have their turns, too
        until_ended = time.monotonic() + env.timeout
        ended = 0
        while ended < 4 * depth * len(small):
            ended += keep_busy(small, depth)
            need(time.monotonic() < until_ended, "%d small reads ended", ended)
        worst = 0
        for i in range(rounds):
            large = qb.submit(nvme.READ, nsid=1, read=MIB, **nvme.rw(0, 2048))
            passed, start = 0, time.monotonic()
            while not large.got:
                passed += keep_busy(small, depth)
                try:
                    qb.pump(0.001)
                except Silence:
                    pass
                need(time.monotonic() - start < env.timeout, "read %d of 1 MiB waits, %d small ones have passed it",
                     i, passed)
            status(qb.wait(large), 0)
            worst = max(worst, passed)
        print("# %d small reads passed a large one at most" % worst)
        need(worst <= 3 * depth * len(small), "%d small reads passed a large one", worst)
        for q in small:
            q.wait(*q.pending.values())
        for cmd in writes:
            qa.answer(cmd, cmd.r2ts[0])
        for cmd in writes:
            status(qa.wait(cmd), 0)
    finally:
        for c in hosts:
            c.close()


@contextlib.contextmanager
def data_timeout(env):
    """A time-out short enough to be waited for. Yields it, in seconds."""
    seconds = env.slow
    path = env.get("NVTGT_DATA_TIMEOUT")
    with open(path, encoding="ascii") as f:
        before = f.read()
    write_attr(path, int(1000 * seconds))
    try:
        yield seconds
    finally:
        write_attr(path, before.strip())


def a_trickle_ends(env):
    """Four bytes now and then are no progress: the connection is ended, and its memory comes back."""
    with data_timeout(env) as timeout, env.controller() as c:
        q = c.io_queue()
        cmd = write_1m(q)
        r2t = q.take_r2t(cmd)
        at, start = 0, time.monotonic()
        while at < 32768:
            q.send(q.h2c(cmd.cid, r2t.ttag, at, bytes(4), last=False))
            at += 4
            try:
                q.pump(timeout / 5)
            except Silence:
                pass
            except Closed:
                break
            need(time.monotonic() - start < 40 * timeout, "a trickle keeps a connection")
        else:
            need(False, "32 KiB in pieces of 4 bytes went by, and the connection stays")


def read_slowly(q, piece, pause, seconds):
    """The host takes a piece from its socket now and then. Raises Closed when the target ends the connection."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(pause)
        try:
            more = q.sock.recv(piece)
        except ConnectionResetError:
            raise Closed(True) from None
        if not more:
            raise Closed()
        q.buf += more


def a_trickle_read_ends(env):
    """
    A host reads 4 MiB and takes 2 KiB now and then, which is no progress: the connection is ended, and its memory
    comes back. TCP, which would cut some of these hosts off as well, took its time-out when the connection came.
    """
    with env.controller() as c, contextlib.ExitStack() as stack:
        q = c.io_queue(rcvbuf=4096)
        timeout = stack.enter_context(data_timeout(env))
        for _ in range(4):
            q.submit(nvme.READ, nsid=1, read=MIB, **nvme.rw(0, 2048))
        start = time.monotonic()
        try:
            read_slowly(q, 2048, timeout / 5, 16 * timeout)
        except Closed:
            took = time.monotonic() - start
            print("# ended after %.1f time-outs" % (took / timeout))
            need(took > 3 * timeout, "ended after %.1f s, with a time-out of %.1f s", took, timeout)
        else:
            need(False, "a host that acknowledges 10 KiB in a time-out keeps its connection and 4 MiB")
        # the next host sends nothing while it waits for its last R2T, and is to have the time
        stack.close()
        with env.controller() as other:
            qo = other.io_queue()
            writes = [write_1m(qo) for _ in range(BUDGET)]
            for cmd in writes:
                qo.take_r2t(cmd)


def a_slow_reader_stays(env):
    """A host on a slow line takes four times what the bound asks for: it gets all its data."""
    with env.controller() as c, contextlib.ExitStack() as stack:
        q = c.io_queue(rcvbuf=16384)
        timeout = stack.enter_context(data_timeout(env))
        cmds = [q.submit(nvme.READ, nsid=1, read=MIB, **nvme.rw(0, 2048)) for _ in range(2)]
        read_slowly(q, 16384, timeout / 4, 10 * timeout)
        for cmd in cmds:
            status(q.wait(cmd), 0)
        # and when nothing is owed any more, nothing is asked of it
        time.sleep(6 * timeout)
        status(q.run(nvme.READ, nsid=1, read=4096, **nvme.rw(0, 8)), 0)


if __name__ == "__main__":
    sys.exit(cases.main([what_comes_back_is_used, those_who_are_awake_keep_none, many_rounds,
                         large_ones_among_small_ones, a_trickle_ends, a_trickle_read_ends,
                         a_slow_reader_stays]))
