#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Connections that end, and objects that go, in every state of set-up and of a command."""

import contextlib
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme, pdu  # noqa: E402
from nvmetcp.cases import need, same, status, until, write_attr  # noqa: E402

DIGESTS = ({}, {"hdgst": True, "ddgst": True})


def read_attr(path):
    with open(path, encoding="ascii") as f:
        return f.read().strip()


@contextlib.contextmanager
def stalled(env, options=None):
    """The null namespace (2, unless told otherwise) keeps its commands."""
    options = options or env.get("NVTGT_NULL_OPTIONS")
    need(options, "NVTGT_NULL_OPTIONS is set")
    before = read_attr(options)
    write_attr(options, before + ",stall=1")
    try:
        yield
    finally:
        write_attr(options, before)


def set_up_states():
    """Names, and how far each goes: a function of env and digests that leaves (peer, others)."""
    def raw(sent):
        def go(env, digests):
            p = env.peer(icreq=False)
            p.send(sent(digests))
            return p, []
        return go

    def icreq(digests):
        return pdu.ic_req(digest=3 if digests else 0)

    def initialized(more):
        def go(env, digests):
            p = env.peer(**digests)
            more(env, p)
            return p, []
        return go

    def send_connect(part):
        def go(env, p):
            _, whole = ctrl.connect(p, ctrl.Host(), env.nqn, held=True)
            p.send(whole[:part])
        return go

    def queue(more, **kw):
        def go(env, digests):
            c = env.controller(**digests, **kw)
            q = c.io_queue()
            more(env, c, q)
            return q, c.peers
        return go

    def write(part):
        def go(_env, _c, q):
            cmd = q.submit(nvme.WRITE, nsid=1, out=bytes(32768), auto=False, **nvme.rw(0, 64))
            r2t = q.take_r2t(cmd)
            q.send(q.h2c(cmd.cid, r2t.ttag, 0, bytes(r2t.length))[:part])
        return go

    def unread(_env, _c, q):
        for i in range(30):
            q.submit(nvme.READ, nsid=1, read=65536, **nvme.rw(i * 128, 128))

    def enable_unread(_env, c, _q):
        c.admin.submit(nvme.A_IDENTIFY, cdw10=1, read=4096)
        c.admin.submit(nvme.A_AER)

    def half_capsule(_env, _c, q):
        _, whole = q.submit(nvme.WRITE, nsid=1, out=bytes(4096), inline=True, held=True, **nvme.rw(0, 8))
        q.send(whole[:1000])

    def io_connect_unread(env, digests):
        c = env.controller(**digests)
        p = c.peer()
        _, whole = ctrl.connect(p, c.host, env.nqn, qid=1, cntlid=c.cntlid, held=True)
        p.send(whole)
        return p, c.peers

    return [("nothing sent", raw(lambda d: b"")), ("a byte", raw(lambda d: b"\0")), ("half an ICReq", raw(lambda d: icreq(d)[:64])),
            ("ICReq", raw(icreq)), ("a wrong ICReq", raw(lambda d: pdu.ic_req(pfv=1))), ("ICReq twice", raw(lambda d: icreq(d) * 2)),
            ("ICResp read", initialized(lambda env, p: None)), ("half a Connect header", initialized(send_connect(40))),
            ("Connect without its data", initialized(send_connect(80))), ("half of Connect's data", initialized(send_connect(600))),
            ("Connect", initialized(send_connect(None))), ("Connect and enabled", queue(lambda env, c, q: None)),
            ("I/O Connect unread", io_connect_unread), ("admin commands unread", queue(enable_unread)),
            ("half a capsule", queue(half_capsule)), ("R2T answered with nothing", queue(write(0))),
            ("R2T answered with half a header", queue(write(12))), ("R2T answered with half its data", queue(write(10000))),
            ("R2T answered, completion unread", queue(write(None))), ("reads unread", queue(unread))]


def set_up_ends(env):
    """RST, FIN or H2CTermReq in each state of set-up and of a command."""
    for name, go in set_up_states():
        for end in ("reset", "close", "term"):
            for digests in DIGESTS:
                with env.row("%s, %s%s", name, end, ", digests" if digests else ""):
                    p, others = go(env, digests)
                    if end == "reset":
                        p.reset()
                    elif end == "close":
                        p.close()
                    else:
                        p.send(pdu.h2c_term())
                        p.close()
                    for other in others:
                        other.close()


def storm(env):
    """Many at once and at random, several threads."""
    states = set_up_states()
    faults = []

    def run(seed):
        import random
        r = random.Random(seed)
        for _ in range(40):
            name, go = r.choice(states)
            try:
                p, others = go(env, r.choice(DIGESTS))
                for x in [p] + others:
                    (x.reset if r.random() < 0.6 else x.close)()
            except OSError:
                continue
            except cases.FAILURES as why:
                faults.append("%s: %s" % (name, why))

    threads = [threading.Thread(target=run, args=(env.random.random(),)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    need(not faults, "%s", faults[:3])


def admin_queue_first(env):
    """The admin connection goes: the I/O connections follow."""
    for how in ("close", "reset"):
        with env.row(how), env.controller() as c:
            queues = [c.io_queue(i) for i in (1, 2, 3)]
            getattr(c.admin, how)()
            for q in queues:
                q.take_end()


def executing_commands(env):
    """Connections end while the backend has their commands; the commands come back later."""
    for how in ("close", "reset", "term"):
        with env.row(how):
            c = env.controller()
            with c:
                q = c.io_queue()
                with stalled(env):
                    for i in range(20):
                        q.submit(nvme.READ, nsid=2, read=16384, **nvme.rw(i, 4))
                        if i & 1:
                            q.submit(nvme.WRITE, nsid=2, out=bytes(4096), inline=True, **nvme.rw(i, 1))
                    need(q.quiet(0.3), "a stalled command ended")
                    if how == "term":
                        q.send(pdu.h2c_term())
                        q.take_end()
                    else:
                        getattr(q, how)()
        env.alive()


def reset_with_executing(env):
    """CC.EN = 0 while the backend has commands."""
    with env.controller() as c:
        q = c.io_queue()
        with stalled(env):
            for i in range(10):
                q.submit(nvme.READ, nsid=2, read=4096, **nvme.rw(i, 1))
            need(q.quiet(0.3), "a stalled command ended")
            status(ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE & ~1), 0)
        q.take_end()
        until(env.timeout, lambda: not ctrl.prop_value(c.admin, nvme.CSTS) & 1, "CSTS.RDY 0")
        ctrl.enable(c.admin)
        c.identify_data(1)


def wait_for_thread(env, t, text):
    t.join(env.timeout)
    need(not t.is_alive(), "%s hangs", text)


def namespace_disabled(env):
    """A namespace is disabled: nothing sent, R2T outstanding, half the data there, commands executing."""
    third, parameter = env.get("NVTGT_NS3"), env.get("NVTGT_DATA_TIMEOUT")
    need(third and parameter, "NVTGT_NS3 and NVTGT_DATA_TIMEOUT are set")
    before = read_attr(parameter)
    options = read_attr(third + "/backend_options")
    ended = {0, nvme.INVALID_NS, nvme.ABORTED, 0x006, 0x082, 0x303, 0x370, 0x371, 0x002}
    write_attr(parameter, int(3000 * env.slow))
    try:
        for name in ("idle", "R2T outstanding", "half the data", "R2T outstanding, other writes go on", "executing"):
            with env.row(name), env.controller() as c:
                write_attr(third + "/enable", 1)
                q = c.io_queue()
                same(q.run(nvme.READ, nsid=3, read=4096, **nvme.rw(0, 1)).status, 0, "read")
                cmds, r2t = [], None
                if name == "executing":
                    write_attr(third + "/backend_options", options + ",stall=1")
                    cmds = [q.submit(nvme.READ, nsid=3, read=4096, **nvme.rw(i, 1)) for i in range(8)]
                    need(q.quiet(0.3), "a stalled command ended")
                elif name != "idle":
                    cmds = [q.submit(nvme.WRITE, nsid=3, out=bytes(32768), auto=False, **nvme.rw(0, 8))]
                    r2t = q.take_r2t(cmds[0])
                    if name == "half the data":
                        q.send(q.h2c(cmds[0].cid, r2t.ttag, 0, bytes(4096), last=False))
                t = threading.Thread(target=write_attr, args=(third + "/enable", 0))
                t.start()
                if name == "executing":
                    # stalled commands are failed so that the namespace can go
                    for cmd in cmds:
                        status(q.wait(cmd), ended)
                elif r2t:
                    # the host never sends the rest: its connection ends, or its command
                    try:
                        if "other writes" in name:
                            end = time.monotonic() + env.timeout
                            while t.is_alive() and time.monotonic() < end:
                                status(q.run(nvme.WRITE, nsid=2, out=bytes(32768), **nvme.rw(0, 8)), 0)
                            need(not t.is_alive(), "disabling waits for as long as the peer likes")
                        status(q.wait(cmds[0]), ended)
                    except (cases.Closed, cases.Terminated):
                        pass
                wait_for_thread(env, t, "disabling the namespace")
                if name in ("idle", "executing"):
                    status(q.run(nvme.READ, nsid=3, read=4096, **nvme.rw(0, 1)), nvme.INVALID_NS)
                write_attr(third + "/backend_options", options)
    finally:
        write_attr(parameter, before)
        write_attr(third + "/backend_options", options)
        write_attr(third + "/enable", 0)


def namespace_blinks(env):
    """Enabled and disabled in a loop under reads, writes and Identify."""
    third = env.get("NVTGT_NS3")
    stop = threading.Event()

    def blink():
        while not stop.is_set():
            write_attr(third + "/enable", 1)
            write_attr(third + "/enable", 0)

    t = threading.Thread(target=blink)
    t.start()
    try:
        with env.controller() as c:
            q = c.io_queue()
            legal = {0, nvme.INVALID_NS, nvme.ABORTED, 0x006, 0x082, nvme.INVALID_FIELD}
            for i in range(80):
                cmds = [q.submit(nvme.READ, nsid=3, read=8192, **nvme.rw(i, 2)) for _ in range(8)]
                cmds += [q.submit(nvme.WRITE, nsid=3, out=bytes(4096), inline=True, **nvme.rw(i, 1)) for _ in range(8)]
                cmds += [q.submit(nvme.WRITE, nsid=3, out=bytes(16384), **nvme.rw(i, 4)) for _ in range(4)]
                q.wait(*cmds)
                for cmd in cmds:
                    status(cmd, legal)
                status(c.identify(0, 3), {0, nvme.INVALID_NS, nvme.INVALID_FIELD})
                status(c.identify(3, 3), {0, nvme.INVALID_NS, nvme.INVALID_FIELD})
                c.identify_data(2, 0)
    finally:
        stop.set()
        wait_for_thread(env, t, "the loop of enable and disable")
        write_attr(third + "/enable", 0)


def subsystem_unlinked(env):
    """A subsystem leaves the port in every state of its connections: they end."""
    port, nqn = env.get("NVTGT_PORT_DIR"), env.get("NVTGT_OTHER_NQN")
    link = os.path.join(port, "subsystems", nqn)
    options = os.path.join(env.root, "subsystems", nqn, "namespaces/1/backend_options")
    for name in ("connected", "not enabled", "R2T outstanding", "reads unread", "half a capsule", "AER waits", "commands executing"):
        with env.row(name), stalled(env, options) if name == "commands executing" else contextlib.nullcontext():
            c = env.controller(nqn, enabled=name != "not enabled")
            with c:
                queues = [c.admin]
                if name not in ("not enabled", "AER waits"):
                    q = c.io_queue()
                    queues.append(q)
                    if name == "R2T outstanding":
                        q.take_r2t(q.submit(nvme.WRITE, nsid=1, out=bytes(32768), auto=False, **nvme.rw(0, 8)))
                    elif name == "commands executing":
                        for i in range(8):
                            q.submit(nvme.READ, nsid=1, read=4096, **nvme.rw(i, 1))
                        need(q.quiet(0.3), "a stalled command ended")
                    elif name == "reads unread":
                        for i in range(30):
                            q.submit(nvme.READ, nsid=1, read=65536, **nvme.rw(i, 16))
                    elif name == "half a capsule":
                        q.send(q.capsule(nvme.sqe(nvme.FLUSH, 1, nsid=1))[:30])
                elif name == "AER waits":
                    c.admin.submit(nvme.A_AER)
                t = threading.Thread(target=os.unlink, args=(link,))
                t.start()
                wait_for_thread(env, t, "unlink")
                try:
                    for q in queues:
                        q.take_end()
                    with env.peer() as p:
                        cmd = status(ctrl.connect(p, c.host, nqn), nvme.CONN_PARAMS)
                        need(not cmd.cqe.dnr, "DNR, though the link may come back")
                finally:
                    os.symlink(os.path.join(env.root, "subsystems", nqn), link)
    with env.row("back again"), env.controller(nqn) as c:
        c.identify_data(1)


def right_taken_away(env):
    """allowed_hosts loses a host: its controllers end, it cannot come back."""
    nqn, friend = env.get("NVTGT_CLOSED_NQN"), env.get("NVTGT_FRIEND")
    link = os.path.join(env.root, "subsystems", nqn, "allowed_hosts", friend)
    with env.controller(nqn, ctrl.Host(friend)) as c, env.controller() as other:
        os.unlink(link)
        try:
            c.admin.take_end()
            with env.peer() as p:
                cmd = status(ctrl.connect(p, c.host, nqn), nvme.CONN_HOST)
                need(not cmd.cqe.dnr, "DNR, though the right may come back")
        finally:
            os.symlink(os.path.join(env.root, "hosts", friend), link)
        other.identify_data(1)
    with env.controller(nqn, ctrl.Host(friend)) as c:
        c.identify_data(1)


def queue_limit_changes(env):
    """attr_qid_max changes while hosts connect: they are dropped or served, nothing breaks."""
    attr = os.path.join(env.root, "subsystems", env.get("NVTGT_OTHER_NQN"), "attr_qid_max")
    before = read_attr(attr)
    stop = threading.Event()

    def change():
        i = 0
        while not stop.is_set():
            write_attr(attr, (1, 16, 128)[i % 3])
            i += 1

    t = threading.Thread(target=change)
    t.start()
    try:
        for _ in range(25):
            try:
                with env.controller(env.get("NVTGT_OTHER_NQN")) as c:
                    for qid in (1, 2, 16):
                        c.io_queue(qid)
            except cases.FAILURES:
                pass
    finally:
        stop.set()
        wait_for_thread(env, t, "attr_qid_max")
        write_attr(attr, before)
    with env.controller(env.get("NVTGT_OTHER_NQN")) as c:
        c.io_queue(1)


if __name__ == "__main__":
    sys.exit(cases.main([
        set_up_ends, storm, admin_queue_first, executing_commands, reset_with_executing, namespace_disabled,
        namespace_blinks, subsystem_unlinked, right_taken_away, queue_limit_changes]))
