#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Clients that take the specification lightly are served: each case stands in the table of Documentation/features.md."""

import os
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from nvmetcp import cases, ctrl, nvme, sloppy  # noqa: E402
from nvmetcp.cases import need, same, status  # noqa: E402


def debug_of(env, c, what):
    """A file of the controller's in debugfs, or None where there is none."""
    try:
        with open(os.path.join(env.get("NVTGT_DEBUGFS", "/nowhere"), env.nqn, "ctrl%d" % c.cntlid, what), encoding="utf-8") as f:
            return f.read().rstrip("\n")
    except OSError:
        return None


def blank_name(env):
    """No Host NQN (SPDK's tools): served where any host may connect, and shown as "-"."""
    with env.controller(host=sloppy.Host("")) as c:
        sloppy.write_read(c.io_queue())
        same(debug_of(env, c, "hostnqn"), {"-", None}, "hostnqn in debugfs")
    with env.row("discovery"), env.controller(nvme.DISCOVERY_NQN, sloppy.Host("")) as c:
        log = c.log_data(0x70, 16384)
        names = [log[at + 256:at + 512].rstrip(b"\0").decode() for at in range(1024, 16384, 1024)]
        need(env.nqn in names, "the open subsystem is not in the log: %s", names)
        need(env.get("NVTGT_CLOSED_NQN") not in names, "the closed subsystem is in the log")
    with env.row("two of them at once"), env.controller(host=sloppy.Host("")) as c, env.controller(host=sloppy.Host("")) as d:
        need(c.cntlid != d.cntlid, "one controller for both")
        sloppy.write_read(c.io_queue())
        sloppy.write_read(d.io_queue())


def odd_names(env):
    for name in sloppy.NAMES:
        with env.row("host %s", name), env.controller(host=ctrl.Host(name) if name else sloppy.Host("")) as c:
            sloppy.write_read(c.io_queue())
            same(debug_of(env, c, "hostnqn"), {name or "-", None}, "hostnqn in debugfs")


def changing_identifiers(env):
    """Another Host Identifier at each Connect: the admin queue's is the controller's."""
    first = os.urandom(16)
    host = ctrl.Host("nqn.2026-11.test:changing", first)
    with env.controller(host=host) as c:
        for qid, ident in ((1, os.urandom(16)), (2, bytes(16)), (3, b"\xff" * 16), (4, first)):
            host.hostid = ident
            sloppy.write_read(c.io_queue(qid))
        cmd = c.get_feature(0x81, cdw11=1, read=16)
        status(cmd, 0)
        same(cmd.data.hex(), first.hex(), "the controller's Host Identifier")
    with env.row("none"), env.controller(host=ctrl.Host("nqn.2026-11.test:none", bytes(16))) as c:
        sloppy.write_read(c.io_queue())
    with env.row("one for two names"), env.controller(host=ctrl.Host("nqn.2026-11.test:one", first)) as c, \
            env.controller(host=ctrl.Host("nqn.2026-11.test:two", first)) as d:
        sloppy.write_read(c.io_queue())
        sloppy.write_read(d.io_queue())


def no_keep_alive(env):
    """KATO 0 at Connect: the controller stays. It may ask for one later."""
    with env.controller(host=sloppy.Host()) as c, env.controller(nvme.DISCOVERY_NQN, sloppy.Host()) as d:
        status(c.admin.run(nvme.A_KEEP_ALIVE), 0)
        status(d.admin.run(nvme.A_KEEP_ALIVE), 0)
        status(c.set_feature(0x0F, 15000), 0)
        same(c.get_feature(0x0F).cqe.dw0, 15000, "KATO")


def queue_sizes(env):
    """SQSIZE from 1 to what the controller announces, another one for each queue, also for the admin queue."""
    for sqsize in (1, 2, 30, 31, 32, 63, 126, 127):
        with env.row("admin, SQSIZE %d", sqsize), env.controller(host=sloppy.Host(), sqsize=sqsize) as c:
            for _ in range(min(sqsize, 4) + 1):
                c.identify_data(1)
    with env.controller(host=sloppy.Host()) as c:
        mqes = ctrl.prop_value(c.admin, nvme.CAP, True) & 0xFFFF
        for qid, sqsize in enumerate((1, 2, 3, 16, 100, mqes - 1, mqes), 1):
            with env.row("I/O, SQSIZE %d", sqsize):
                q = c.io_queue(qid, sqsize=sqsize)
                for i in range(min(sqsize, 4) + 1):
                    sloppy.write_read(q, slba=i)
        for sqsize in (mqes + 1, 65534, 65535):
            with env.row("I/O, SQSIZE %d: refused, and the host asks for less on the same connection", sqsize):
                q = c.peer()
                status(ctrl.connect(q, c.host, env.nqn, qid=9, sqsize=sqsize, cntlid=c.cntlid), nvme.CONN_PARAMS)
                status(ctrl.connect(q, c.host, env.nqn, qid=9, sqsize=mqes, cntlid=c.cntlid), 0)
                sloppy.write_read(q)
                q.close()
                cases.until(env.timeout, lambda: debug_of(env, c, "queues") in (None, "8"), "queue 9 is gone")


def queues_in_any_order(env):
    """No Number of Queues was asked for; queue identifiers with gaps, from behind."""
    with env.controller(host=sloppy.Host()) as c:
        for qid in (7, 3, 5, 1):
            sloppy.write_read(c.io_queue(qid))
        status(c.set_feature(7, 0x00070007), {0, nvme.SEQUENCE})
        sloppy.write_read(c.io_queue(2, cattr=nvme.CATTR_NO_FLOW_CONTROL))


def data_either_way(env):
    """What fits into a capsule need not come in it; what comes in it need not be small."""
    with env.peer() as p:
        status(ctrl.connect(p, sloppy.Host(), env.nqn, inline=False), 0)
        ctrl.enable(p)
    with env.controller(host=sloppy.Host()) as c:
        q = c.io_queue()
        most = c.capsule_data()
        for length in (512, 1024, 4096, 8192, most):
            for inline in (True, False):
                with env.row("%d bytes, in the capsule %s", length, inline):
                    sloppy.write_read(q, blocks=length // 512, inline=inline)
        for ranges in (1, 2, 256):
            for inline in (True, False):
                if ranges * 16 > most and inline:
                    continue
                with env.row("%d ranges, in the capsule %s", ranges, inline):
                    data = b"".join(struct.pack("<IIQ", 0, 1, 64 + i) for i in range(ranges))
                    status(q.run(nvme.DSM, nsid=1, cdw10=ranges - 1, cdw11=4, out=data, inline=inline), 0)


def nothing_to_move(env):
    """Without data the SGL is whatever the client's library leaves there, as long as its length is 0."""
    kinds = [nvme.sgl(0, 0, kind) for kind in (0x00, 0x01, 0x0A, 0x0F, 0x40, 0x4F, 0x5A, 0xFF)]
    kinds += [nvme.sgl(0x1234567812345678, 0, kind, b"\xff" * 3) for kind in (0x01, 0x5A)]
    with env.controller(host=sloppy.Host()) as c:
        q = c.io_queue()
        for dptr in kinds:
            with env.row("SGL %s", dptr.hex()):
                status(q.run(nvme.FLUSH, nsid=1, dptr=dptr), 0)
                status(q.run(nvme.WRITE_ZEROES, nsid=1, dptr=dptr, **nvme.rw(8, 8)), 0)
                status(c.admin.run(nvme.A_KEEP_ALIVE, dptr=dptr), 0)
                status(c.get_feature(0x0B, dptr=dptr), 0)
                status(c.set_feature(0x0B, 0, dptr=dptr), 0)
                status(c.admin.run(nvme.OP_FABRICS, nsid=nvme.FC_PROP_GET, cdw11=nvme.CSTS, dptr=dptr), 0)


def rubbish_in_reserved_fields(env):
    """Flags, dwords, pointers and hints without a meaning here are not looked at."""
    rubbish = {"flags": 0x7C, "cdw2": 0x5A5A5A5A, "cdw3": 0xFFFFFFFF, "mptr": 0x1122334455667788}
    with env.controller(host=sloppy.Host()) as c:
        q = c.io_queue()
        with env.row("read, write"):
            sloppy.write_read(q, cdw13=0xFFFFFFFF, cdw14=0xFFFFFFFF, cdw15=0xFFFFFFFF, **rubbish)
        with env.row("limited retry, force unit access"):
            sloppy.write_read(q, cdw12=3 << 30)
        with env.row("an address in a transport SGL"):
            cmd = q.run(nvme.READ, nsid=1, dptr=nvme.sgl(0xFFFFFFFFFFFFFFFF, 512, 0x5A, b"\x5a" * 3), read=512, **nvme.rw(0, 1))
            status(cmd, 0)
        with env.row("Flush"):
            status(q.run(nvme.FLUSH, nsid=1, cdw10=1, cdw11=2, cdw12=3, cdw13=4, cdw14=5, cdw15=6, **rubbish), 0)
        with env.row("Keep Alive"):
            status(c.admin.run(nvme.A_KEEP_ALIVE, nsid=0xFFFFFFFF, cdw10=1, cdw11=2, **rubbish), 0)
        with env.row("Identify Controller of a namespace"):
            status(c.admin.run(nvme.A_IDENTIFY, nsid=1, cdw10=1 | 7 << 16, cdw14=0x7F, read=4096, **rubbish), 0)
        for nsid in (0, 1, 0xFFFFFFFF):
            with env.row("Get Features, NSID %#x", nsid):
                status(c.get_feature(7, nsid=nsid, **rubbish), 0)
        for size in (0, 8, 0xF8):
            with env.row("Property Get, attrib %#x", size):
                status(c.admin.run(nvme.OP_FABRICS, nsid=nvme.FC_PROP_GET, cdw10=size, cdw11=nvme.CC), 0)


def pages_in_any_order(env):
    """Identify, logs and features in a wild order, twice, and again after the I/O queues; lengths as the client has them."""
    identify = [(c, n) for c, n in ((3, 1), (2, 0), (1, 0), (0, 1), (5, 1), (6, 0), (0x10, 0), (0x13, 0), (0, 2), (8, 1), (2, 1), (1, 7))]
    logs = [(1, 64), (1, 4096), (2, 512), (3, 512), (4, 4096), (5, 4096), (5, 8), (0x0C, 16), (0x0C, 4096), (2, 4096), (2, 16)]
    optional = {0x10, 0x13, 8}
    with env.controller(host=sloppy.Host()) as c:
        for turn in range(2):
            work = [("identify", i) for i in identify] + [("log", i) for i in logs] + [("feature", f) for f in (7, 0x0B, 0x0F, 6)]
            env.random.shuffle(work)
            for kind, what in work:
                with env.row("turn %d: %s %s", turn, kind, what):
                    if kind == "identify":
                        status(c.identify(what[0], what[1]), {0, nvme.INVALID_FIELD} if what[0] in optional else 0)
                    elif kind == "log":
                        status(c.log(what[0], what[1], nsid=0xFFFFFFFF if turn else 0), 0)
                    else:
                        status(c.get_feature(what), 0)
            sloppy.write_read(c.io_queue(turn + 1))


def enabled_in_steps(env):
    """CC: set up first and enabled later, enabled twice, shut down without being disabled, properties before all that."""
    with env.controller(enabled=False, host=sloppy.Host()) as c:
        for offset, wide in ((nvme.CSTS, False), (nvme.VS, False), (nvme.CC, False), (nvme.CAP, True)):
            ctrl.prop_value(c.admin, offset, wide)
        status(ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE & ~1), 0)
        for _ in range(2):
            ctrl.enable(c.admin)
        sloppy.write_read(c.io_queue())
        status(ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE | 1 << 14), 0)
        cases.until(env.timeout, lambda: ctrl.prop_value(c.admin, nvme.CSTS) >> 2 & 3 == 2, "CSTS.SHST complete")
    with env.row("CC.IOSQES after CC.EN would be too late, reserved bits are not"), env.controller(enabled=False, host=sloppy.Host()) as c:
        ctrl.enable(c.admin, ctrl.CC_ENABLE | 1 << 26)
        sloppy.write_read(c.io_queue())


def leaves(env, host, state):
    """A connection, or an association, left in a certain state. Returns what is to be closed."""
    p = env.peer(icreq=state != "bare")
    if state in ("bare", "initialized"):
        return [p]
    if state == "Connect sent":
        _, raw = ctrl.connect(p, host, env.nqn, held=True)
        p.send(raw)
        return [p]
    if state == "half a Connect":
        _, raw = ctrl.connect(p, host, env.nqn, held=True)
        p.send(raw[:len(raw) // 2])
        return [p]
    p.close()
    c = env.controller(host=host, enabled=state != "not enabled")
    if state == "disabled":
        ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE & ~1)
    elif state == "shut down":
        ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE | 1 << 14)
    elif state == "event awaited":
        c.admin.submit(nvme.A_AER)
    elif state not in ("not enabled", "enabled"):
        q = c.io_queue(1 if state != "queue 9 alone" else 9)
        if state == "data awaited":
            q.take_r2t(q.submit(nvme.WRITE, nsid=1, out=bytes(65536), auto=False, **nvme.rw(0, 128)))
        elif state == "reads under way":
            for i in range(16):
                q.submit(nvme.READ, nsid=1, read=65536, **nvme.rw(128 * i, 128))
        elif state == "writes under way":
            for i in range(16):
                q.submit(nvme.WRITE, nsid=1, out=bytes(8192), inline=True, **nvme.rw(256 + 16 * i, 16))
        elif state == "half an I/O capsule":
            q.send(q.capsule(nvme.sqe(nvme.WRITE, 1, nsid=1, dptr=nvme.sgl_capsule(512)), bytes(512))[:100])
    return c.peers


STATES = ("bare", "initialized", "half a Connect", "Connect sent", "not enabled", "enabled", "disabled", "shut down", "event awaited",
          "idle I/O queue", "queue 9 alone", "data awaited", "reads under way", "writes under way", "half an I/O capsule")


def reconnects_in_every_state(env):
    """Left by FIN, by RST, or not at all (a host that was reset): the same host comes again at once and is served."""
    for i, state in enumerate(STATES):
        for how in ("FIN", "RST", "nothing"):
            host = ctrl.Host("nqn.2026-11.test:again-%d" % i) if i % 2 else ctrl.Host("nqn.2026-11.test:again", b"\x11" * 16)
            with env.row("%s, %s", state, how):
                peers = leaves(env, host, state)
                try:
                    if how != "nothing":
                        for p in peers:
                            p.reset() if how == "RST" else p.close()
                    sloppy.comes_again(env, host)
                finally:
                    for p in peers:
                        p.close()


def two_at_once(env):
    """Two processes of one host, of the same name and identifier, each with a controller of its own."""
    host, failures = ctrl.Host(), []

    def run(slba):
        try:
            with env.controller(host=host) as c:
                q = c.io_queue()
                for _ in range(20):
                    sloppy.write_read(q, slba=slba)
        except cases.FAILURES as why:
            failures.append("%s %s" % (type(why).__name__, why))

    threads = [threading.Thread(target=run, args=(1000 + i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(env.timeout * 2)
        need(not t.is_alive(), "a thread hangs")
    need(not failures, "; ".join(failures))


if __name__ == "__main__":
    sys.exit(cases.main([
        blank_name, odd_names, changing_identifiers, no_keep_alive, queue_sizes, queues_in_any_order, data_either_way,
        nothing_to_move, rubbish_in_reserved_fields, pages_in_any_order, enabled_in_steps, reconnects_in_every_state,
        two_at_once]))
