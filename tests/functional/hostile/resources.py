#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A peer that takes as much as it can get: connections, half-open ones, memory for what it does not read."""

import os
import resource
import select
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme  # noqa: E402
from nvmetcp.cases import need, same, status, until, write_attr  # noqa: E402
from nvmetcp.peer import Silence  # noqa: E402


class Parameters:
    """Module parameters, put back at the end."""

    def __init__(self, env, **values):
        self.folder = env.get("NVTGT_PARAMETERS", "/sys/module/nvtgt_tcp/parameters")
        self.values, self.before = values, {}

    def __enter__(self):
        for name, value in self.values.items():
            path = os.path.join(self.folder, name)
            with open(path, encoding="ascii") as f:
                self.before[path] = f.read().strip()
            write_attr(path, value)

    def __exit__(self, *_):
        for path, value in self.before.items():
            write_attr(path, value)


def closed_ones(socks):
    """Which of these the target has closed."""
    poller = select.poll()
    by_fd = {s.fileno(): s for s in socks}
    for fd in by_fd:
        poller.register(fd, select.POLLIN | select.POLLHUP | select.POLLERR)
    gone = []
    for fd, _ in poller.poll(0):
        try:
            if not by_fd[fd].recv(4096):
                gone.append(by_fd[fd])
        except BlockingIOError:
            pass
        except OSError:
            gone.append(by_fd[fd])
    return gone


def open_many(env, count):
    socks = []
    family = socket.AF_INET6 if ":" in env.address else socket.AF_INET
    for _ in range(count):
        s = socket.socket(family, socket.SOCK_STREAM)
        s.settimeout(env.timeout)
        try:
            s.connect((env.address, env.port))
        except OSError:
            s.close()
            continue
        s.setblocking(False)
        socks.append(s)
    return socks


def half_open_limit(env):
    """More than max_half_open connections that say nothing: the rest is closed at once."""
    with Parameters(env, max_half_open=16, setup_timeout_ms=600000):
        socks = open_many(env, 100)
        try:
            gone = set()

            def enough():
                gone.update(closed_ones([s for s in socks if s not in gone]))
                return len(gone) >= 100 - 16 - 1
            until(env.timeout, enough, "84 of 100 closed")
            need(len(gone) <= 90, "%d of 100 are closed, with 16 allowed", len(gone))
        finally:
            for s in socks:
                s.close()
        until(env.timeout, lambda: tries(env), "a host gets in again")


def tries(env):
    try:
        env.alive()
        return True
    except cases.FAILURES:
        return False


def ten_thousand_half_open(env):
    """10 000 connections that say nothing; those who are in go by the set-up time-out, hosts get in again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 11000) if hard != resource.RLIM_INFINITY else 11000, hard))
    count = min(10000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    with env.controller() as kept, Parameters(env, setup_timeout_ms=int(3000 * env.slow)):
        q = kept.io_queue()
        socks = []
        try:
            while len(socks) < count:
                more = open_many(env, min(500, count - len(socks)))
                need(more, "no connection at all after %d", len(socks))
                socks += more
                status(q.run(nvme.READ, nsid=1, read=4096, **nvme.rw(0, 8)), 0)
                kept.identify_data(1)
            left = set(socks)

            def all_gone():
                left.difference_update(closed_ones(left))
                return not left
            until(env.timeout, all_gone, "all closed by the target")
            until(env.timeout, lambda: tries(env), "a host gets in while the dead connections stand")
        finally:
            for s in socks:
                s.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connection_limit(env):
    """max_connections: one more is closed, and it is let in when another goes."""
    with env.controller() as first:
        held = [first]
        try:
            # what other hosts hold counts too, so find the limit from above
            with Parameters(env, max_connections=40):
                refused = False
                for _ in range(60):
                    try:
                        held.append(env.controller(enabled=False))
                    except cases.FAILURES:
                        refused = True
                        break
                need(refused, "60 connections with 40 allowed")
                need(len(held) > 5, "only %d connections with 40 allowed", len(held))
                first.identify_data(1)
                held.pop().close()

                def again():
                    try:
                        held.append(env.controller(enabled=False))
                        return True
                    except cases.FAILURES:
                        return False
                until(env.timeout, again, "a connection is let in after another one went")
        finally:
            for c in held:
                c.close()


def unread_window(env):
    """A full queue of reads that nobody reads: others are served, and the data is right at last."""
    with env.controller() as c, env.controller() as other:
        good = other.io_queue()
        q = c.io_queue(sqsize=127, rcvbuf=4096)
        data = [ctrl.pattern(65536, i) for i in range(4)]
        for i, d in enumerate(data):
            status(good.run(nvme.WRITE, nsid=1, out=d, **nvme.rw(i * 128, 128)), 0)
        cmds = [q.submit(nvme.READ, nsid=1, read=65536, **nvme.rw(i % 4 * 128, 128)) for i in range(126)]
        for _ in range(20):
            cmd = status(good.run(nvme.READ, nsid=1, read=65536, **nvme.rw(0, 128)), 0)
            need(cmd.data == data[0], "data differs for the other host")
            c.identify_data(1)
        q.wait(*cmds)
        for i, cmd in enumerate(cmds):
            status(cmd, 0)
            need(cmd.data == data[i % 4], "data of command %d differs", i)


def many_unread(env):
    """Twelve such queues at once, closed without a byte read."""
    with env.controller() as other:
        good = other.io_queue()
        hosts = []
        try:
            for _ in range(12):
                c = env.controller()
                hosts.append(c)
                q = c.io_queue(sqsize=127, rcvbuf=4096)
                q.send(b"".join(q.submit(nvme.READ, nsid=1, read=131072, held=True, **nvme.rw(0, 256))[1] for _ in range(126)))
                status(good.run(nvme.READ, nsid=1, read=65536, **nvme.rw(0, 128)), 0)
            for _ in range(10):
                status(good.run(nvme.WRITE, nsid=1, out=bytes(65536), **nvme.rw(0, 128)), 0)
                status(good.run(nvme.READ, nsid=1, read=65536, **nvme.rw(0, 128)), 0)
        finally:
            for c in hosts:
                c.close()


def writes_without_data(env):
    """Queues full of writes whose data never comes: memory is bounded, others write on."""
    with env.controller() as other, Parameters(env, data_timeout_ms=600000):
        good = other.io_queue()
        hosts = []
        try:
            for _ in range(8):
                c = env.controller(maxr2t=127)
                hosts.append(c)
                q = c.io_queue(sqsize=127)
                q.send(b"".join(q.submit(nvme.WRITE, nsid=1, out=bytes(1 << 20), auto=False, held=True, **nvme.rw(0, 2048))[1]
                                for _ in range(126)))
            for _ in range(10):
                status(good.run(nvme.READ, nsid=1, read=65536, **nvme.rw(0, 128)), 0)
                status(good.run(nvme.WRITE, nsid=1, out=bytes(4096), inline=True, **nvme.rw(0, 8)), 0)
        finally:
            for c in hosts:
                c.close()
        status(good.run(nvme.WRITE, nsid=1, out=bytes(1 << 20), **nvme.rw(0, 2048)), 0)


def writes_without_data_end(env):
    """The same, and the data time-out gives the memory back to who waits for it."""
    with env.controller() as other, Parameters(env, data_timeout_ms=int(4000 * env.slow)):
        good = other.io_queue()
        hosts = []
        try:
            for _ in range(8):
                c = env.controller(maxr2t=127)
                hosts.append(c)
                q = c.io_queue(sqsize=127)
                q.send(b"".join(q.submit(nvme.WRITE, nsid=1, out=bytes(1 << 20), auto=False, held=True, **nvme.rw(0, 2048))[1]
                                for _ in range(126)))
            for _ in range(3):
                status(good.run(nvme.WRITE, nsid=1, out=bytes(1 << 20), **nvme.rw(0, 2048)), 0)
            for c in hosts:
                c.peers[1].take_end()
        finally:
            for c in hosts:
                c.close()


def slow_sender(env):
    """A byte now and then within a capsule: that connection alone waits."""
    with env.controller() as c, env.controller() as other:
        q, good = c.io_queue(), other.io_queue()
        cmd, raw = q.submit(nvme.READ, nsid=1, read=512, held=True, **nvme.rw(0, 1))
        for byte in raw[:-1]:
            q.send(bytes([byte]))
            status(good.run(nvme.READ, nsid=1, read=4096, **nvme.rw(0, 8)), 0)
        need(not cmd.done, "half a capsule was answered")
        q.send(raw[-1:])
        status(q.wait(cmd), 0)


def come_and_go(env):
    """Hundreds of controllers in turn: ids and memory come back."""
    start = time.monotonic()
    n = 0
    while n < 300 and time.monotonic() - start < env.timeout * 2:
        with env.controller(enabled=False) as c:
            need(c.cntlid, "cntlid 0")
        n += 1
    need(n > 20, "only %d controllers in %d s", n, env.timeout * 2)
    with env.peer() as p:
        same(ctrl.connect(p, ctrl.Host(), env.nqn).status, 0, "Connect")
        try:
            p.recv(0.2)
            need(False, "something came by itself")
        except Silence:
            pass


if __name__ == "__main__":
    sys.exit(cases.main([
        half_open_limit, ten_thousand_half_open, connection_limit, unread_window, many_unread, writes_without_data,
        writes_without_data_end, slow_sender, come_and_go]))
