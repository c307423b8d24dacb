#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Connect with every field wrong, commands out of their order, properties, strangers."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme  # noqa: E402
from nvmetcp.cases import need, same, status  # noqa: E402
from nvmetcp.peer import Closed  # noqa: E402

DATA = nvme.IATTR_DATA
HOSTID_AT, CNTLID_AT, SUBNQN_AT, HOSTNQN_AT = 0, 16, 256, 512
CDW10, QID_AT, SQSIZE_AT, CATTR_AT, KATO_AT = 40, 42, 44, 46, 48


def invalid(cmd, at, data=0, dnr=True):
    """Connect Invalid Parameters that names the place (fabrics specification, Connect response)."""
    status(cmd, nvme.CONN_PARAMS)
    same((cmd.cqe.dw0 & 0xFFFF, cmd.cqe.dw0 >> 16 & 1), (at, data), "IPO, IATTR")
    same(cmd.cqe.dnr, dnr, "DNR")


def not_there(cmd, at):
    """The field names what may be there later: a host that comes again is not turned away for good."""
    invalid(cmd, at, DATA, dnr=False)


def try_connect(env, host=None, nqn=None, **kw):
    with env.peer() as p:
        return ctrl.connect(p, host or ctrl.Host(), env.nqn if nqn is None else nqn, **kw)


def plain(env):
    with env.peer() as p:
        cmd = ctrl.connect(p, ctrl.Host(), env.nqn)
        status(cmd, 0)
        need(0 < p.cntlid < 0xFFF0, "cntlid %#x", p.cntlid)


def data_by_r2t(env):
    """Connect's data by R2T in place of the capsule: taken, or refused by its SGL."""
    with env.peer() as p:
        cmd = ctrl.connect(p, ctrl.Host(), env.nqn, inline=False)
        status(cmd, {0, nvme.SGL_TYPE, nvme.INVALID_FIELD})


def names(env):
    host = ctrl.Host()
    prefix = "nqn.2026-11.test:"
    full = (prefix + "x" * 300).encode()[:256]
    sub = [("256 bytes", full), ("empty", b""), ("not UTF-8", b"nqn.2026-11.test:\xff\xfe"), ("255 bytes", full[:223 + 32]),
           ("binary", b"\x01" * 255), ("newline", env.nqn.encode() + b"\n")]
    for name, value in sub:
        with env.row("subnqn %s", name):
            invalid(try_connect(env, host, value), SUBNQN_AT, DATA)
    sub = [("unknown", b"nqn.2026-11.test:no-such"), ("longer by one", (env.nqn + "x").encode()),
           ("shorter by one", env.nqn[:-1].encode()), ("format string", b"nqn.2026-11.test:%s%n%p"),
           ("slash", b"nqn.2026-11.test/../hostile")]
    for name, value in sub:
        with env.row("subnqn %s", name):
            not_there(try_connect(env, host, value), SUBNQN_AT)
    with env.row("hostnqn 256 bytes"):
        invalid(try_connect(env, host, hostnqn=full), HOSTNQN_AT, DATA)
    for name, value in [("not UTF-8", b"nqn.2026-11.test:\xff\xfe"), ("no nqn", b"x"), ("newline", b"nqn.2026-11.test:a\nb"),
                        ("format string", b"nqn.2026-11.test:%s%n%p")]:
        with env.row("hostnqn %s", name):
            status(try_connect(env, host, hostnqn=value), {0, nvme.CONN_PARAMS, nvme.CONN_HOST})
    with env.row("hostnqn 223 bytes"):
        status(try_connect(env, host, hostnqn=full[:223]), 0)
    with env.row("bytes behind the NUL of the subnqn"):
        data = bytearray(nvme.connect_data(host.hostid, 0xFFFF, env.nqn, host.nqn))
        data[SUBNQN_AT + 200:SUBNQN_AT + 256] = b"\xaa" * 56
        status(try_connect(env, host, data=bytes(data)), {0, nvme.CONN_PARAMS})
    with env.row("all of the data set"):
        status(try_connect(env, host, data=b"\xff" * 1024), {nvme.CONN_PARAMS, nvme.CONN_HOST})
    with env.row("all of the data clear"):
        status(try_connect(env, host, data=bytes(1024)), {nvme.CONN_PARAMS, nvme.CONN_HOST})


def host_not_allowed(env):
    """A subsystem with allowed_hosts: the friend comes in, the stranger gets Connect Invalid Host."""
    closed, friend = env.get("NVTGT_CLOSED_NQN"), env.get("NVTGT_FRIEND")
    need(closed and friend, "NVTGT_CLOSED_NQN and NVTGT_FRIEND are set")
    with env.row("friend"):
        status(try_connect(env, ctrl.Host(friend), closed), 0)
    for name in (friend + "x", friend[:-1], friend.upper(), "nqn.2026-11.test:else", "-", ""):
        with env.row("host %s", name):
            cmd = status(try_connect(env, ctrl.Host(), closed, hostnqn=name), nvme.CONN_HOST)
            same(cmd.cqe.dnr, False, "DNR, though it may be allowed later")


def record_format(env):
    for recfmt in (1, 2, 0xFF, 0x8000, 0xFFFF):
        with env.row("recfmt %#x", recfmt):
            cmd = try_connect(env, recfmt=recfmt)
            status(cmd, nvme.CONN_FORMAT)


def controller_ids(env):
    """Dynamic controllers only: FFFFh. FFFEh and a number ask for a static one."""
    for cntlid in (0, 1, 2, 0x7FFF, 0xFFEF, 0xFFF0, 0xFFFD, 0xFFFE):
        with env.row("admin, cntlid %#x", cntlid):
            invalid(try_connect(env, cntlid=cntlid), CNTLID_AT, DATA)
    with env.controller() as c:
        for cntlid in (0, c.cntlid ^ 1, c.cntlid + 1000 & 0x7FFF, 0xFFF0, 0xFFFE, 0xFFFF):
            with env.row("I/O, cntlid %#x of %#x", cntlid, c.cntlid), env.peer() as p:
                not_there(ctrl.connect(p, c.host, env.nqn, qid=1, cntlid=cntlid), CNTLID_AT)


def strangers(env):
    """An I/O queue joins its own host's controller alone; which host it is, its name says."""
    elsewhere = env.get("NVTGT_OTHER_NQN")
    with env.controller() as c, env.controller() as other:
        for name, kw in (("other hostnqn", {"hostnqn": "nqn.2026-11.test:stranger"}), ("blank hostnqn", {"hostnqn": ""}),
                         ("other host whole", {"hostnqn": other.host.nqn, "hostid": other.host.hostid})):
            with env.row(name), env.peer() as p:
                invalid(ctrl.connect(p, c.host, env.nqn, qid=1, cntlid=c.cntlid, **kw), HOSTNQN_AT, DATA)
        for nqn in (elsewhere, nvme.DISCOVERY_NQN) if elsewhere else ():
            with env.row("by way of %s", nqn), env.peer() as p:
                not_there(ctrl.connect(p, c.host, nqn, qid=1, cntlid=c.cntlid), CNTLID_AT)
        with env.row("the host itself"):
            same(c.io_queue().connected, True)


def queue_sizes(env):
    for sqsize in (31, 1, 127):
        with env.row("admin sqsize %d", sqsize):
            status(try_connect(env, sqsize=sqsize), {0, nvme.CONN_PARAMS} if sqsize != 31 else 0)
    for sqsize in (0, 0x7FFF, 0xFFFE, 0xFFFF):
        with env.row("admin sqsize %#x", sqsize):
            invalid(try_connect(env, sqsize=sqsize), SQSIZE_AT)
    with env.controller() as c:
        mqes = ctrl.prop_value(c.admin, nvme.CAP, True) & 0xFFFF
        for sqsize in sorted({0, mqes + 1, 0x7FFF, 0xFFFE, 0xFFFF}):
            if sqsize > 0xFFFF:
                continue
            with env.row("I/O sqsize %#x", sqsize), env.peer() as p:
                invalid(ctrl.connect(p, c.host, env.nqn, qid=1, sqsize=sqsize, cntlid=c.cntlid), SQSIZE_AT)
        for qid, sqsize in ((1, 1), (2, mqes), (3, 2)):
            with env.row("I/O sqsize %#x", sqsize):
                q = c.io_queue(qid, sqsize=sqsize)
                for _ in range(sqsize * 2 + 3 if sqsize < 9 else 3):
                    status(q.run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)


def queue_ids(env):
    with env.controller() as c:
        cmd = c.set_feature(7, 0x00FE00FE)
        status(cmd, 0)
        most = (cmd.cqe.dw0 & 0xFFFF) + 1
        for qid in (most + 1, most + 100, 0x7FFF, 0xFFFE, 0xFFFF):
            with env.row("qid %#x of %d", qid, most), env.peer() as p:
                invalid(ctrl.connect(p, c.host, env.nqn, qid=qid, cntlid=c.cntlid), QID_AT)
        with env.row("the last qid"):
            c.io_queue(min(most, 0xFFFD))
        with env.row("the first qid"):
            first = c.io_queue(1)
        with env.row("a qid that is taken"), env.peer() as p:
            status(ctrl.connect(p, c.host, env.nqn, qid=1, cntlid=c.cntlid), {nvme.SEQUENCE, nvme.CONN_PARAMS})
        with env.row("the first one works on"):
            status(first.run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)
        with env.row("taken again after its end"):
            first.close()

            def again():
                p = c.peer()
                ok = ctrl.connect(p, c.host, env.nqn, qid=1, cntlid=c.cntlid).status == 0
                if not ok:
                    p.close()
                return ok
            cases.until(env.timeout, again, "qid 1 is free")


def transfer_lengths(env):
    for length in (0, 1, 4, 512, 1020, 1023, 1025, 1028, 2048, 8192):
        with env.row("%d bytes in the capsule", length):
            status(try_connect(env, data=ctrl.pattern(length, 1)), {nvme.SGL_LENGTH, nvme.INVALID_FIELD, nvme.CONN_PARAMS})
    whole = nvme.connect_data(bytes(16), 0xFFFF, env.nqn, "nqn.2026-11.test:h")
    for length in (0, 1, 512, 1023, 1025, 4096, 0xFFFFFFFF):
        with env.row("SGL of %d bytes, 1024 there", length), env.peer() as p:
            try:
                cmd = ctrl.connect(p, ctrl.Host(), env.nqn, data=whole, dptr=nvme.sgl_capsule(length))
                status(cmd, {nvme.SGL_LENGTH, nvme.SGL_OFFSET, nvme.INVALID_FIELD, nvme.CONN_PARAMS})
            except (Closed, cases.Terminated):
                pass
    for length in (0, 1023, 1025, 0x100000, 0xFFFFFFFF):
        with env.row("SGL of %d bytes outside", length), env.peer() as p:
            cmd = p.run(nvme.OP_FABRICS, nsid=nvme.FC_CONNECT, cdw11=31, dptr=nvme.sgl_host(length))
            status(cmd, {nvme.SGL_LENGTH, nvme.SGL_TYPE, nvme.INVALID_FIELD, nvme.CONN_PARAMS})
    for offset in (1, 4, 1024, 0x7FFFFFFF, 0xFFFFFFFFFFFFFC00, 0xFFFFFFFFFFFFFFFF):
        with env.row("offset %#x", offset), env.peer() as p:
            cmd = ctrl.connect(p, ctrl.Host(), env.nqn, data=whole, dptr=nvme.sgl_capsule(1024, offset))
            status(cmd, {nvme.SGL_OFFSET, nvme.SGL_LENGTH, nvme.SGL_TYPE, nvme.INVALID_FIELD})


def attributes(env):
    """CATTR: SQ flow control may be switched off; what is not known is refused or ignored."""
    for cattr in (0, 1, 2, 3, 4, 5, 8, 0x10, 0x20, 0x40, 0x80, 0xFF):
        with env.row("cattr %#x", cattr):
            cmd = try_connect(env, cattr=cattr)
            if cattr in (0, 4):
                status(cmd, 0)
            elif cmd.status:
                invalid(cmd, CATTR_AT)
    with env.row("flow control off: SQHD FFFFh"):
        cmd = try_connect(env, cattr=4)
        same(cmd.cqe.sqhd, 0xFFFF, "SQHD")


def keep_alive_values(env):
    """Any KATO is taken: 0 means none; at an I/O queue it is not looked at."""
    for kato in (0, 1, 99, 100, 30000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        with env.row("kato %#x", kato), env.peer() as p:
            status(ctrl.connect(p, ctrl.Host(), env.nqn, kato=kato), 0)
    with env.controller() as c, env.row("kato on an I/O queue"):
        status(c.io_queue(kato=1).run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)


def keep_alive_expires(env):
    """Without Keep Alive every connection of the controller ends, not before its time."""
    kato = int(4000 * env.slow)
    with env.controller(kato=kato) as c:
        start = time.monotonic()
        queues = [c.io_queue(qid) for qid in (1, 2)]
        status(c.admin.run(nvme.A_KEEP_ALIVE), 0)
        last = time.monotonic()
        for q in [c.admin] + queues:
            q.take_end()
        need(time.monotonic() - start >= kato / 1000, "ended %.2f s after a Keep Alive", time.monotonic() - last)
    with env.controller(kato=kato) as c:
        with env.row("kept alive by Keep Alive"):
            end = time.monotonic() + 2.5 * kato / 1000
            while time.monotonic() < end:
                status(c.admin.run(nvme.A_KEEP_ALIVE), 0)
                need(c.admin.quiet(0.3), "something came by itself")


def keep_alive_changed(env):
    """Set Features KATO: 0 to a value arms the timer, the value reads back rounded up."""
    with env.controller() as c:
        kato = int(3500 * env.slow)
        status(c.set_feature(0x0F, kato), 0)
        got = c.get_feature(0x0F)
        status(got, 0)
        need(kato <= got.cqe.dw0 <= kato + 1000, "KATO reads %d", got.cqe.dw0)
        c.admin.take_end()


def before_connect(env):
    """Nothing but Connect comes first (Command Sequence Error)."""
    late = {nvme.SEQUENCE}
    rows = [("Identify", nvme.A_IDENTIFY, {"cdw10": 1, "read": 4096}), ("Keep Alive", nvme.A_KEEP_ALIVE, {}),
            ("AER", nvme.A_AER, {}), ("Get Log Page", nvme.A_LOG, {"cdw10": 0x3FF0002, "read": 4096}),
            ("Set Features", nvme.A_SET_FEATURES, {"cdw10": 7}), ("Abort", nvme.A_ABORT, {}),
            ("Property Get", nvme.OP_FABRICS, {"nsid": nvme.FC_PROP_GET, "cdw10": 1}),
            ("Property Set", nvme.OP_FABRICS, {"nsid": nvme.FC_PROP_SET, "cdw11": 0x14, "cdw12": ctrl.CC_ENABLE}),
            ("Disconnect", nvme.OP_FABRICS, {"nsid": nvme.FC_DISCONNECT}),
            ("Write in the capsule", nvme.WRITE, {"nsid": 1, "out": bytes(512), "inline": True}),
            ("Write by R2T", nvme.WRITE, {"nsid": 1, "out": bytes(8192)}),
            ("Read", nvme.READ, {"nsid": 1, "read": 512}), ("Flush", nvme.FLUSH, {"nsid": 1}),
            ("unknown", 0xFE, {"read": 0})]
    for name, opcode, kw in rows:
        with env.row(name), env.peer() as p:
            status(p.run(opcode, **kw), late | {nvme.INVALID_OPCODE, nvme.INVALID_FIELD} if name == "unknown" else late)
            with env.row("%s, then Connect", name):
                status(ctrl.connect(p, ctrl.Host(), env.nqn), 0)


def fabrics_types(env):
    """Every fabrics command type, before and after Connect, on both kinds of queue."""
    refused = {nvme.INVALID_OPCODE, nvme.INVALID_FIELD, nvme.SEQUENCE}
    with env.controller() as c:
        q = c.io_queue()
        for fctype in range(256):
            if fctype in (nvme.FC_CONNECT, nvme.FC_PROP_GET, nvme.FC_PROP_SET, nvme.FC_DISCONNECT):
                continue
            with env.row("admin, type %#x", fctype):
                status(c.admin.run(nvme.OP_FABRICS, nsid=fctype), refused)
            with env.row("I/O, type %#x", fctype):
                status(q.run(nvme.OP_FABRICS, nsid=fctype), refused)
        for fctype in (nvme.FC_PROP_GET, nvme.FC_PROP_SET):
            with env.row("I/O, property command %d", fctype):
                status(q.run(nvme.OP_FABRICS, nsid=fctype, cdw11=0x14), refused)
        with env.row("still there"):
            status(q.run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)


def connect_twice(env):
    with env.controller() as c:
        status(ctrl.connect(c.admin, c.host, env.nqn), nvme.SEQUENCE)
        q = c.io_queue()
        status(ctrl.connect(q, c.host, env.nqn, qid=1, cntlid=c.cntlid), nvme.SEQUENCE)
        q.qid = 1
        status(q.run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)
    with env.row("two Connects in one segment"), env.peer() as p:
        made = [ctrl.connect(p, ctrl.Host(), env.nqn, held=True) for _ in range(2)]
        p.send(b"".join(raw for _, raw in made))
        p.wait(*[cmd for cmd, _ in made])
        same(tuple(sorted(cmd.status for cmd, _ in made)), (0, nvme.SEQUENCE), "statuses")
    with env.row("a command behind Connect in one segment"), env.peer() as p:
        cmd, raw = ctrl.connect(p, ctrl.Host(), env.nqn, held=True)
        get, more = p.submit(nvme.OP_FABRICS, nsid=nvme.FC_PROP_GET, cdw10=1, held=True)
        p.send(raw + more)
        p.wait(cmd, get)
        status(cmd, 0)
        status(get, {0, nvme.SEQUENCE})


def retry_after_refusal(env):
    """A refused Connect leaves the connection usable, or ends it."""
    with env.peer() as p:
        for _ in range(20):
            status(ctrl.connect(p, ctrl.Host(), "nqn.2026-11.test:no-such"), nvme.CONN_PARAMS)
        status(ctrl.connect(p, ctrl.Host(), env.nqn), 0)


def before_enable(env):
    """CC.EN = 0: fabrics commands only."""
    with env.controller(enabled=False) as c:
        for name, opcode, kw in [("Identify", nvme.A_IDENTIFY, {"cdw10": 1, "read": 4096}),
                                 ("Get Log Page", nvme.A_LOG, {"cdw10": 0x7F0002, "read": 512}),
                                 ("Get Features", nvme.A_GET_FEATURES, {"cdw10": 7})]:
            with env.row(name):
                status(c.admin.run(opcode, **kw), {nvme.SEQUENCE})
        with env.row("AER"):
            status(c.admin.run(nvme.A_AER), {nvme.SEQUENCE})
        with env.row("I/O queue"), env.peer() as p:
            status(ctrl.connect(p, c.host, env.nqn, qid=1, cntlid=c.cntlid),
                   {nvme.SEQUENCE, nvme.CONN_PARAMS, nvme.CONN_BUSY})
        with env.row("enabled after all that"):
            ctrl.enable(c.admin)
            c.identify_data(1)


def properties(env):
    """Every property offset with both sizes; reserved ones are refused or read as zero."""
    four, eight = {0x08, 0x14, 0x1C}, {0x00}
    with env.controller(enabled=False) as c:
        for offset in list(range(0, 0x80)) + [0xFFC, 0x1000, 0x7FFFFFFF, 0xFFFFFFF8, 0xFFFFFFFF]:
            for wide in (False, True):
                with env.row("get %#x, %d bytes", offset, 8 if wide else 4):
                    cmd = ctrl.prop_get(c.admin, offset, wide)
                    if offset in (eight if wide else four):
                        status(cmd, 0)
                    elif offset in four | eight or offset % 4:
                        status(cmd, nvme.INVALID_FIELD)
                    else:
                        status(cmd, {0, nvme.INVALID_FIELD})
                    if cmd.status == 0 and not wide or cmd.status:
                        same(cmd.cqe.dw1, 0, "dw1")
        for attrib in (2, 3, 4, 7, 0xFF):
            with env.row("attrib %#x", attrib):
                status(c.admin.run(nvme.OP_FABRICS, nsid=nvme.FC_PROP_GET, cdw10=attrib, cdw11=0x14),
                       {nvme.INVALID_FIELD})
        for offset in list(range(0, 0x80, 4)) + [0x15, 0xFFFFFFFF]:
            if offset in (0x14, 0x20):
                continue
            with env.row("set %#x", offset):
                status(ctrl.prop_set(c.admin, offset, 0x12345678), nvme.INVALID_FIELD)
        with env.row("set CC with 8 bytes"):
            status(ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE, attrib=1), {nvme.INVALID_FIELD})
        with env.row("CC as it was"):
            same(ctrl.prop_value(c.admin, nvme.CC) & 1, 0, "CC.EN")


def bad_configuration(env):
    """CC with what the controller cannot do: refused, or CSTS.CFS; never CSTS.RDY with a lie."""
    rows = {"MPS 15": ctrl.CC_ENABLE | 0xF << 7, "CSS 5": ctrl.CC_ENABLE | 5 << 4, "AMS 7": ctrl.CC_ENABLE | 7 << 11,
            "IOSQES 0": 4 << 20 | 1, "IOCQES 0": 6 << 16 | 1, "IOSQES 15": 15 << 16 | 4 << 20 | 1, "all": 0xFFFFFFFF}
    for name, cc in rows.items():
        with env.row(name), env.controller(enabled=False) as c:
            cmd = ctrl.prop_set(c.admin, nvme.CC, cc)
            if cmd.status:
                status(cmd, nvme.INVALID_FIELD)
                continue
            csts = ctrl.prop_value(c.admin, nvme.CSTS)
            need(csts & 2 or not csts & 1 or name == "all", "CSTS %#x with CC %#x", csts, cc)


def disable_enable(env):
    """CC.EN 1, 0, 1, with I/O queues and AERs outstanding; shutdown."""
    with env.controller() as c:
        for _ in range(3):
            status(ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE & ~1), 0)
            cases.until(env.timeout, lambda: not ctrl.prop_value(c.admin, nvme.CSTS) & 1, "CSTS.RDY 0")
            ctrl.enable(c.admin)
        status(ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE | 1 << 14), 0)
        cases.until(env.timeout, lambda: ctrl.prop_value(c.admin, nvme.CSTS) >> 2 & 3 == 2, "CSTS.SHST complete")
    with env.row("reset with I/O queues"), env.controller() as c:
        queues = [c.io_queue(qid) for qid in (1, 2)]
        for q in queues:
            for i in range(16):
                q.submit(nvme.READ, nsid=1, read=4096, **nvme.rw(8 * i, 8))
        status(ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE & ~1), 0)
        cases.until(env.timeout, lambda: not ctrl.prop_value(c.admin, nvme.CSTS) & 1, "CSTS.RDY 0")
        for q in queues:
            q.take_end()


def disconnect_command(env):
    """Disconnect on an I/O queue: answered and closed by somebody; refused on an admin queue."""
    with env.controller() as c:
        q = c.io_queue()
        cmd = q.run(nvme.OP_FABRICS, nsid=nvme.FC_DISCONNECT)
        status(cmd, {0, nvme.INVALID_OPCODE, nvme.INVALID_FIELD})
        status(c.admin.run(nvme.OP_FABRICS, nsid=nvme.FC_DISCONNECT),
               {nvme.INVALID_OPCODE, nvme.INVALID_FIELD, 0x185})
        c.identify_data(1)


def results_are_clean(env):
    """Completion dwords that mean nothing are zero: no memory of the target's leaks."""
    with env.peer() as p:
        for opcode, kw in [(nvme.A_IDENTIFY, {"cdw10": 1, "read": 4096}), (nvme.A_KEEP_ALIVE, {}), (0xC1, {}), (nvme.FLUSH, {"nsid": 1})]:
            cmd = p.run(opcode, **kw)
            same((cmd.cqe.dw0, cmd.cqe.dw1), (0, 0), "dw0, dw1")
    with env.controller() as c:
        q = c.io_queue()
        for _ in range(3):
            for opcode, kw in [(nvme.A_KEEP_ALIVE, {}), (nvme.A_IDENTIFY, {"cdw10": 1, "read": 4096}), (0xC1, {}), (0xC2, {})]:
                cmd = c.admin.run(opcode, **kw)
                same((cmd.cqe.dw0, cmd.cqe.dw1), (0, 0), "admin dw0, dw1")
            for opcode, kw in [(nvme.READ, dict(nvme.rw(0, 1), read=512)), (nvme.WRITE, dict(nvme.rw(1 << 40, 1), out=bytes(512), inline=True)),
                               (nvme.FLUSH, {}), (0xC1, {})]:
                cmd = q.run(opcode, nsid=1, **kw)
                same((cmd.cqe.dw0, cmd.cqe.dw1), (0, 0), "I/O dw0, dw1")


def many_controllers(env):
    """Controllers come and go; each has an id of its own while it lives."""
    held = [env.controller(enabled=False) for _ in range(40)]
    try:
        same(len({c.cntlid for c in held}), 40, "different ids")
    finally:
        for c in held:
            c.close()


if __name__ == "__main__":
    sys.exit(cases.main([
        plain, data_by_r2t, names, host_not_allowed, record_format, controller_ids, strangers, queue_sizes, queue_ids,
        transfer_lengths, attributes, keep_alive_values, keep_alive_expires, keep_alive_changed, before_connect,
        fabrics_types, connect_twice, retry_after_refusal, before_enable, properties, bad_configuration,
        disable_enable, disconnect_command, results_are_clean, many_controllers]))
