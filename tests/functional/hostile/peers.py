#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A peer that keeps connections, half-open ones and discovery controllers, so that others have none."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases  # noqa: E402
from nvmetcp.cases import need, same, status, until, write_attr  # noqa: E402

DISCOVERY = "nqn.2014-08.org.nvmexpress.discovery"
KATO_FEATURE = 0x0F
KATO_INVALID = 0x1A
KATO_MOST = 300000
KATO_DEFAULT = 120000
RATE = 100


@contextlib.contextmanager
def parameters(env, **values):
    """Parameters of the transport (or core_NAME: of the core), put back at the end."""
    before = {}
    try:
        for name, value in values.items():
            core = name.startswith("core_")
            path = os.path.join(env.get("CORE_PARAMETERS" if core else "NVTGT_PARAMETERS"), name[5:] if core else name)
            # a target without the parameter shows what it does without it
            if not os.path.exists(path):
                continue
            with open(path, encoding="ascii") as f:
                before[path] = f.read().strip()
            write_attr(path, value)
        yield
    finally:
        for path, value in before.items():
            write_attr(path, value)


def peers(env):
    """What the target counts: {address: {column: number}}."""
    with open(env.get("PEERS"), encoding="ascii") as f:
        names = f.readline().split()
        rows = [line.split() for line in f]
    return {r[1]: dict(zip(names[2:], map(int, r[2:]))) for r in rows if r[0] == "nvtgt-tcp"}


def count(env, column, address=None):
    return sum(row[column] for name, row in peers(env).items() if address in (None, name))


class Flood(threading.Thread):
    """Connections that say nothing, RATE of them a second, from these addresses in turn; it keeps what it gets."""

    def __init__(self, env, sources, port=None, address=None):
        super().__init__(daemon=True)
        self.where = (address or env.address, port or env.port)
        self.sources, self.opened, self.ended, self.stop = sources, 0, 0, threading.Event()
        self.socks = {}

    def run(self):
        poller = select.poll()
        begin = time.monotonic()
        while not self.stop.is_set():
            due = int((time.monotonic() - begin) * RATE)
            # where the machine does not keep up, what has ended is still looked at
            for _ in range(min(due - self.opened, 10)):
                if len(self.socks) < 800:
                    self.open(poller)
            for fd, _ in poller.poll(10):
                poller.unregister(fd)
                self.socks.pop(fd).close()
                self.ended += 1
        for s in self.socks.values():
            s.close()

    def open(self, poller):
        source = self.sources[self.opened % len(self.sources)]
        self.opened += 1
        s = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(5)
        try:
            s.bind((source, 0))
            s.connect(self.where)
        except OSError:
            s.close()
            return
        self.socks[s.fileno()] = s
        poller.register(s, select.POLLIN | select.POLLHUP | select.POLLERR)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


def stock_connects(env, *options, nqn=None, address=None):
    """A stock host connects, which makes two queues at least, and leaves. The seconds that it took, or None."""
    start = time.monotonic()
    args = ["nvme", "connect", "-t", "tcp", "-a", address or env.address, "-s", str(env.port), "-n", nqn or env.get("NVTGT_OTHER_NQN"),
            "--hostnqn", "nqn.2026-11.test:latecomer", "--hostid", "4e564d65-0000-4000-8000-00000000beef", "-o", "json"]
    done = subprocess.run(args + list(options), capture_output=True, text=True, timeout=120, check=False)
    took = time.monotonic() - start
    if done.returncode:
        return None
    subprocess.run(["nvme", "disconnect", "-d", json.loads(done.stdout)["device"]], capture_output=True, timeout=120, check=True)
    return took


def gets_in_during(env, sources, **where):
    """While the flood runs, and stands at the bound, a stock host from another address connects, each time."""
    # a host's own connections stay few
    slow = []
    with Flood(env, sources, **where) as flood:
        until(env.timeout, lambda: flood.opened > 150, "150 connections")
        for _ in range(3):
            took = stock_connects(env)
            need(took is not None, "a stock host does not get in after %d connections of others", flood.opened)
            slow.append(took)
        need(flood.is_alive(), "the flood has ended")
        got = (flood.opened, flood.ended)
    need(max(slow) < 15 * env.slow, "a stock host needs %s s", slow)
    print("    %d opened, %d ended, a host got in after %s s" % (*got, ", ".join("%.1f" % s for s in slow)))
    return got


def one_address(env):
    """A hundred connections a second from one address that say nothing."""
    with parameters(env, max_half_open=64, max_peer_half_open=32, setup_timeout_ms=600000):
        with Flood(env, [env.get("PEER_ADDR4")]) as flood:
            until(env.timeout, lambda: flood.opened > 100, "100 connections")
            took = stock_connects(env)
            need(took is not None, "a stock host does not get in")
            same(count(env, "half_open", env.get("PEER_ADDR4")), set(range(20, 33)), "half-open connections of the peer")
        opened, ended = gets_in_during(env, [env.get("PEER_ADDR4")])
        need(ended >= opened - 32 - 16, "%d of %d connections have ended, 32 are allowed", ended, opened)
        until(env.timeout, lambda: not count(env, "half_open"), "nobody is half-open afterwards")


def many_addresses(env):
    """The same from forty addresses, none of which reaches its own bound."""
    sources = ["192.0.2.%d" % (100 + n) for n in range(1, 41)]
    with parameters(env, max_half_open=64, max_peer_half_open=32, setup_timeout_ms=600000):
        gets_in_during(env, sources)
        until(env.timeout, lambda: not count(env, "half_open"), "nobody is half-open afterwards")


def one_ipv6_network(env):
    """The addresses of a /64 are one peer."""
    sources = ["2001:db8::100:%d" % n for n in range(1, 41)]
    with parameters(env, max_half_open=64, max_peer_half_open=32, setup_timeout_ms=600000):
        with Flood(env, sources, address=env.get("TGT_IP6")) as flood:
            until(env.timeout, lambda: flood.opened > 100, "100 connections")
            got = {name for name, row in peers(env).items() if row["half_open"]}
            same(got.pop(), "2001:db8::", "the peer")
            need(not got, "peers beside it: %s", got)
            need(count(env, "half_open") <= 32, "%d half-open connections, 32 are allowed", count(env, "half_open"))
            need(stock_connects(env, address=env.get("TGT_IP6")) is not None,
                 "a stock host of the same network does not get in")
        until(env.timeout, lambda: not count(env, "half_open"), "nobody is half-open afterwards")


def same_address(env):
    """A host at the flood's own address gets in as well: others are older."""
    source = env.get("PEER_ADDR4")
    with parameters(env, max_half_open=1024, max_peer_half_open=256, setup_timeout_ms=600000):
        with Flood(env, [source]) as flood:
            until(env.timeout, lambda: flood.ended > 10, "the bound is reached")
            need(stock_connects(env, "--host-traddr", source) is not None, "a stock host does not get in")
        until(env.timeout, lambda: not count(env, "half_open"), "nobody is half-open afterwards")


def connections_of_one(env):
    """max_peer_connections: who has as many connected is refused, others are not."""
    source = env.get("PEER_ADDR4")
    held = []
    with parameters(env, max_peer_connections=10):
        try:
            refused = False
            for _ in range(20):
                try:
                    held.append(env.controller(bind=source, enabled=False))
                except cases.FAILURES:
                    refused = True
                    break
            need(refused and len(held) == 10, "%d connections with 10 allowed", len(held))
            env.alive()
            held.pop().close()
            until(env.timeout, lambda: count(env, "connections", source) == 9, "one has gone")
            # a half-open one makes room
            half = env.peer(bind=source, icreq=False)
            held.append(env.controller(bind=source, enabled=False))
            half.take_end()
            half.close()
        finally:
            for c in held:
                c.close()
    until(env.timeout, lambda: not count(env, "connections", source), "all have gone")


def ended(controllers):
    """Which of these have been closed by the target."""
    return [c for c in controllers if c.admin.readable(0)]


def discovery_of_one(env):
    """max_peer_discovery: the oldest of those that are not to stay end; a host that stays is left alone."""
    source = env.get("PEER_ADDR4")
    held = []
    with parameters(env, core_max_peer_discovery=8):
        stays = env.controller(DISCOVERY, bind=source, kato=30000)
        try:
            for i in range(30):
                held.append(env.controller(DISCOVERY, bind=source, enabled=False))
                same(count(env, "discovery", source), min(i + 2, 8), "controllers that count")
            until(env.timeout, lambda: len(ended(held)) == 23, "23 of 30 have ended")
            same(ended(held) == held[:23], True, "the oldest ones have ended")
            stays.identify_data(1)
            with env.controller(DISCOVERY) as other:
                other.identify_data(1)
            # all that stay: the oldest goes
            for _ in range(8):
                held.append(env.controller(DISCOVERY, bind=source, kato=30000, enabled=False))
            until(env.timeout, lambda: ended([stays]), "the oldest has ended")
        finally:
            for c in held + [stays]:
                c.close()
    until(env.timeout, lambda: not count(env, "discovery"), "all have gone")


def discovery_of_many(env):
    """max_ctrls: discovery lets a newcomer in."""
    held = []
    with parameters(env, core_max_ctrls=16):
        try:
            stays = env.controller(DISCOVERY, kato=30000)
            held.append(stays)
            for n in range(1, 31):
                held.append(env.controller(DISCOVERY, bind="192.0.2.%d" % (100 + n), enabled=False))
            until(env.timeout, lambda: len(ended(held)) == 15, "15 of 31 have ended")
            stays.identify_data(1)
        finally:
            for c in held:
                c.close()
    until(env.timeout, lambda: not count(env, "discovery"), "all have gone")


def discovery_keep_alive(env):
    """Neither for ever nor for days."""
    for asked, given in ((0, KATO_DEFAULT), (30000, 30000), (KATO_MOST, KATO_MOST), (KATO_MOST + 1, KATO_MOST),
                         (0xFFFFFFFF, KATO_MOST)):
        with env.row("Connect with %d ms", asked), env.controller(DISCOVERY, kato=asked) as c:
            same(status(c.get_feature(KATO_FEATURE), 0).cqe.dw0, given, "KATO")
    with env.controller(DISCOVERY, kato=30000) as c:
        for value, want in ((KATO_MOST, 0), (KATO_MOST + 1, KATO_INVALID), (0xFFFFFFFF, KATO_INVALID), (0, KATO_INVALID)):
            with env.row("Set Features with %d ms", value):
                status(c.set_feature(KATO_FEATURE, value), want)
        same(status(c.get_feature(KATO_FEATURE), 0).cqe.dw0, KATO_MOST, "KATO")
    # the others may ask for what they like
    with env.controller(kato=0xFFFFFFFF) as c:
        need(status(c.get_feature(KATO_FEATURE), 0).cqe.dw0 > KATO_MOST, "KATO of an NVM controller is bounded")


def link_local_of_two_links(env):
    """Hosts with link-local addresses on two links are not one peer."""
    socks = []
    try:
        for where in env.get("LINK_LOCAL").split():
            address, link = where.split("%")
            s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            socks.append(s)
            s.settimeout(env.timeout)
            s.connect((address, 4423, 0, socket.if_nametoindex(link)))
        until(env.timeout, lambda: sorted(row["half_open"] for name, row in peers(env).items()
                                          if name.startswith("fe80::")) == [1, 1], "two peers with one connection each")
    finally:
        for s in socks:
            s.close()


if __name__ == "__main__":
    sys.exit(cases.main([
        one_address, many_addresses, one_ipv6_network, same_address, connections_of_one, discovery_of_one,
        discovery_of_many, discovery_keep_alive, link_local_of_two_links]))
