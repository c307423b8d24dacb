#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""CapsuleCmd and H2CData: every header field wrong, in every state, with digests and without."""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme, pdu  # noqa: E402
from nvmetcp.cases import need, same, status  # noqa: E402
from nvmetcp.peer import Terminated  # noqa: E402

HDR, SEQ, HDGST, RANGE, LIMIT = pdu.FES_HDR, pdu.FES_SEQ, pdu.FES_HDGST, pdu.FES_RANGE, pdu.FES_LIMIT
DIGESTS = ({}, {"hdgst": True, "ddgst": True})

PLACE = {(HDR, pdu.OFF_DATAO), (RANGE, None), (SEQ, None)}
LENGTH = {(HDR, pdu.OFF_DATAL), (HDR, pdu.OFF_PLEN), (RANGE, None), (LIMIT, None)}
TAG = {(HDR, pdu.OFF_TTAG), (SEQ, None)}
LAST = {(HDR, pdu.OFF_FLAGS), (SEQ, None), (RANGE, None)}


def io(env, digests, **kw):
    """A controller with one I/O queue."""
    c = env.controller(**dict(digests, **kw))
    try:
        return c, c.io_queue(sqsize=63)
    except BaseException:
        c.close()
        raise


def ends_with(env, name, digests, legal, wrong):
    """wrong(queue) gives bytes to send; the answer is a C2HTermReq out of legal."""
    with env.row("%s%s", name, ", digests" if digests else ""):
        c, q = io(env, digests)
        with c:
            raw = wrong(q)
            q.send(raw)
            q.take_term(legal, raw)


def command_headers(env):
    """CapsuleCmd: hlen and plen."""
    entry = nvme.sqe(nvme.READ, 1, nsid=1, dptr=nvme.sgl_host(512))
    for digests in DIGESTS:
        bad_digest = {(HDGST, None)} if digests else set()
        for hlen in (0, 1, 7, 8, 24, 64, 71, 73, 76, 80, 128, 254, 255):
            ends_with(env, "hlen %d" % hlen, digests, {(HDR, pdu.OFF_HLEN)} | bad_digest,
                      lambda q, h=hlen: q.capsule(entry, over={"hlen": h}))
        for plen in (0, 1, 7, 8, 24, 64, 71, 0x100000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF) + ((72, 75) if digests else ()):
            ends_with(env, "plen %d" % plen, digests, {(HDR, pdu.OFF_PLEN), (HDR, pdu.OFF_PDO), (LIMIT, None), (RANGE, None)} | bad_digest,
                      lambda q, n=plen: q.capsule(entry, over={"plen": n}))


def command_lengths_with_data(env):
    """Data in the capsule and a plen that does not fit the SGL: a status, or the end; never silence."""
    legal = {(HDR, pdu.OFF_PLEN), (HDR, pdu.OFF_PDO), (HDR, pdu.OFF_FLAGS), (LIMIT, None), (RANGE, None), (HDGST, None), (SEQ, None),
             (HDR, pdu.OFF_TYPE)}
    refused = {nvme.SGL_LENGTH, nvme.SGL_OFFSET, nvme.INVALID_FIELD, nvme.TRANSIENT_TRANSPORT}
    for digests in DIGESTS:
        for there, said in ((512, 1024), (1024, 512), (512, 0), (512, 511), (516, 512), (512, 0xFFFFFFFF), (4, 512), (0, 512)):
            with env.row("%d in the capsule, SGL says %d%s", there, said, ", digests" if digests else ""):
                c, q = io(env, digests)
                with c:
                    cmd = q.submit(nvme.WRITE, nsid=1, out=bytes(there), inline=True,
                                   dptr=nvme.sgl_capsule(said), **nvme.rw(0, 1))
                    try:
                        status(q.wait(cmd), refused)
                        status(q.run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)
                    except Terminated as end:
                        need(any(end.fes == f and i in (None, end.fei) for f, i in legal), "%s", end)


def too_much_in_capsule(env):
    """More data than IOCCSZ allows: refused, the capsule is not waited for without a bound."""
    with env.controller() as c:
        most = c.capsule_data()
    for extra in (4, 4096, 131072):
        for digests in DIGESTS:
            with env.row("%d + %d bytes%s", most, extra, ", digests" if digests else ""):
                c, q = io(env, digests)
                with c:
                    size = (most + extra + 511) // 512 * 512 if extra >= 512 else most + extra
                    cmd = q.submit(nvme.WRITE, nsid=1, out=bytes(size), inline=True, **nvme.rw(0, max(1, size // 512)))
                    try:
                        status(q.wait(cmd), {nvme.SGL_OFFSET, nvme.SGL_LENGTH, nvme.INVALID_FIELD})
                    except Terminated as end:
                        need((end.fes, end.fei) in {(HDR, 4)} or end.fes in (RANGE, LIMIT), "%s", end)


def command_flags(env):
    """Digest flags that are not what was agreed; reserved ones."""
    entry = nvme.sqe(nvme.READ, 1, nsid=1, dptr=nvme.sgl_host(512))
    ends_with(env, "HDGSTF without agreement", {}, {(HDR, pdu.OFF_FLAGS), (HDR, pdu.OFF_PLEN)},
              lambda q: q.capsule(entry, hdgst=True))
    ends_with(env, "no HDGSTF in spite of agreement", DIGESTS[1], {(HDR, pdu.OFF_FLAGS), (HDR, pdu.OFF_PLEN), (HDGST, None)},
              lambda q: q.capsule(entry, hdgst=False))
    ends_with(env, "HDGSTF cleared, digest there", DIGESTS[1], {(HDR, pdu.OFF_FLAGS), (HDGST, None)},
              lambda q: q.capsule(entry, over={"flags": 0}))
    data = nvme.sqe(nvme.WRITE, 1, nsid=1, dptr=nvme.sgl_capsule(512))
    ends_with(env, "DDGSTF without agreement", {}, {(HDR, pdu.OFF_FLAGS), (HDR, pdu.OFF_PLEN)},
              lambda q: q.capsule(data, bytes(512), ddgst=True))
    ends_with(env, "no DDGSTF in spite of agreement", DIGESTS[1], {(HDR, pdu.OFF_FLAGS), (HDR, pdu.OFF_PLEN)},
              lambda q: q.capsule(data, bytes(512), ddgst=False))
    for bit in (2, 3, 4, 5, 6, 7):
        with env.row("reserved bit %d", bit):
            c, q = io(env, {})
            with c:
                try:
                    cmd = q.run(nvme.READ, nsid=1, read=512, framing={"flags": 1 << bit}, **nvme.rw(0, 1))
                    status(cmd, 0)
                except Terminated as end:
                    same((end.fes, end.fei), (HDR, pdu.OFF_FLAGS), "fes, fei")


def command_pdo(env):
    """Where the capsule's data begins."""
    data = nvme.sqe(nvme.WRITE, 1, nsid=1, dptr=nvme.sgl_capsule(512))
    wrong = {(HDR, pdu.OFF_PDO), (HDR, pdu.OFF_PLEN)}
    for digests in DIGESTS:
        first = 76 if digests else 72
        for at in (0, 1, 8, 24, 64, 71, first - 4, first + 1, first + 2, first + 3, 253, 254, 255):
            ends_with(env, "pdo %d" % at, digests, wrong,
                      lambda q, v=at: q.capsule(data, bytes(512), over={"pdo": v}))
        for at in (first + 4, 80, 96, 128, 252):
            with env.row("pdo %d and the data there%s", at, ", digests" if digests else ""):
                c, q = io(env, digests)
                with c:
                    try:
                        status(q.run(nvme.WRITE, nsid=1, out=bytes(512), inline=True, framing={"pdo": at}, **nvme.rw(0, 1)), 0)
                    except Terminated as end:
                        same((end.fes, end.fei), {(HDR, pdu.OFF_PDO), (HDR, pdu.OFF_PLEN)}, "fes, fei")


def header_digest(env):
    """A wrong header digest is fatal, and the C2HTermReq carries what came."""
    entry = nvme.sqe(nvme.READ, 1, nsid=1, dptr=nvme.sgl_host(512))
    for ddgst in (False, True):
        for flip in (1, 0x80000000, 0xFFFFFFFF):
            with env.row("capsule, flip %#x, data digest %s", flip, ddgst):
                c, q = io(env, {"hdgst": True, "ddgst": ddgst})
                with c:
                    raw = q.capsule(entry, bad_hdgst=flip)
                    q.send(raw)
                    q.take_term({(HDGST, struct.unpack("<I", raw[72:76])[0])}, raw)
        with env.row("H2CData, data digest %s", ddgst):
            c, q = io(env, {"hdgst": True, "ddgst": ddgst})
            with c:
                cmd = q.submit(nvme.WRITE, nsid=1, out=bytes(32768), auto=False, **nvme.rw(0, 64))
                r2t = q.take_r2t(cmd)
                raw = q.h2c(cmd.cid, r2t.ttag, 0, bytes(r2t.length), bad_hdgst=1)
                q.send(raw)
                q.take_term({(HDGST, struct.unpack("<I", raw[24:28])[0])}, raw)


# -- H2CData -------------------------------------------------------------------

def wrong_h2c():
    """Names, what may answer, and how to make a wrong H2CData for an R2T over 32 KiB."""
    def at(offset, count=4096, **kw):
        return lambda q, c, r: q.h2c(c.cid, r.ttag, offset(r), bytes(count), last=False, **kw)

    def whole(**kw):
        return lambda q, c, r: q.h2c(c.cid, r.ttag, r.offset, bytes(r.length), **kw)

    def tag(change):
        return lambda q, c, r: q.h2c(c.cid, change(r.ttag), r.offset, bytes(r.length))

    rows = [("cccid + 1", {(HDR, pdu.OFF_CCCID), (SEQ, None)},
             lambda q, c, r: q.h2c(c.cid + 1, r.ttag, r.offset, bytes(r.length))),
            ("cccid FFFFh", {(HDR, pdu.OFF_CCCID), (SEQ, None)},
             lambda q, c, r: q.h2c(0xFFFF, r.ttag, r.offset, bytes(r.length)))]
    for name, change in (("+ 1", lambda t: t + 1), ("- 1", lambda t: t - 1), ("^ 8000h", lambda t: t ^ 0x8000),
                         ("FFFFh", lambda t: 0xFFFF if t != 0xFFFF else 0xFFFE), ("+ 64", lambda t: t + 64)):
        rows.append(("ttag %s" % name, TAG | {(HDR, pdu.OFF_CCCID)}, tag(change)))
    for name, offset in (("4", lambda r: 4), ("4096", lambda r: 4096), ("the end", lambda r: r.length),
                         ("beyond", lambda r: r.length + 4096), ("2^31", lambda r: 1 << 31),
                         ("2^32 - 4", lambda r: 0xFFFFFFFC), ("2^32 - 4096", lambda r: 0xFFFFF000), ("2", lambda r: 2)):
        rows.append(("offset %s" % name, PLACE, at(offset)))
    for said in (0, 1, 4092, 4100, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF):
        rows.append(("4096 bytes, datal %#x" % said, LENGTH, at(lambda r: 0, length=said)))
    for plen in (0, 7, 23, 24, 28, 4096, 4123, 0x7FFFFFFF, 0xFFFFFFFF):
        rows.append(("4096 bytes, plen %#x" % plen, LENGTH | {(HDGST, None), (HDR, pdu.OFF_PDO)}, at(lambda r: 0, over={"plen": plen})))
    for hlen in (0, 8, 23, 25, 28, 72, 128, 255):
        rows.append(("hlen %d" % hlen, {(HDR, pdu.OFF_HLEN), (HDGST, None)}, at(lambda r: 0, over={"hlen": hlen})))
    for pdo in (0, 8, 20, 25, 27, 255):
        rows.append(("pdo %d" % pdo, {(HDR, pdu.OFF_PDO), (HDR, pdu.OFF_PLEN), (HDR, pdu.OFF_DATAL)},
                     at(lambda r: 0, over={"pdo": pdo})))
    rows += [("4 bytes too many", LENGTH, lambda q, c, r: q.h2c(c.cid, r.ttag, r.offset, bytes(r.length + 4))),
             ("64 KiB too many", LENGTH, lambda q, c, r: q.h2c(c.cid, r.ttag, r.offset, bytes(r.length + 65536))),
             ("no data", LENGTH | {(HDR, pdu.OFF_PDO), (HDR, pdu.OFF_FLAGS)},
              lambda q, c, r: q.h2c(c.cid, r.ttag, r.offset, b"")),
             ("LAST too early", LAST, lambda q, c, r: q.h2c(c.cid, r.ttag, r.offset, bytes(4096), last=True)),
             ("LAST missing", LAST, whole(last=False)),
             ("backwards", PLACE | TAG | LENGTH,
              lambda q, c, r: q.h2c(c.cid, r.ttag, r.offset, bytes(8192), last=False) +
              q.h2c(c.cid, r.ttag, r.offset + 4096, bytes(4096), last=False)),
             ("a hole", PLACE,
              lambda q, c, r: q.h2c(c.cid, r.ttag, r.offset, bytes(4096), last=False) +
              q.h2c(c.cid, r.ttag, r.offset + 8192, bytes(4096), last=False)),
             ("twice", PLACE | TAG | LENGTH | {(HDR, pdu.OFF_CCCID)},
              lambda q, c, r: q.h2c(c.cid, r.ttag, r.offset, bytes(r.length)) * 2)]
    return rows


def h2c_fields(env):
    for digests in DIGESTS:
        for name, legal, wrong in wrong_h2c():
            with env.row("%s%s", name, ", digests" if digests else ""):
                c, q = io(env, digests)
                with c:
                    cmd = q.submit(nvme.WRITE, nsid=1, out=bytes(32768), auto=False, **nvme.rw(0, 64))
                    r2t = q.take_r2t(cmd)
                    raw = wrong(q, cmd, r2t)
                    q.send(raw)
                    q.take_term(legal)


def h2c_flags(env):
    """H2CData with digest flags against the agreement, and with reserved flags."""
    for digests, flags, legal in (({}, pdu.F_LAST | pdu.F_HDGST, {(HDR, pdu.OFF_FLAGS)}),
                                  ({}, pdu.F_LAST | pdu.F_DDGST, {(HDR, pdu.OFF_FLAGS), (HDR, pdu.OFF_PLEN), (HDR, pdu.OFF_DATAL)}),
                                  (DIGESTS[1], pdu.F_LAST, {(HDR, pdu.OFF_FLAGS), (HDGST, None)}),
                                  (DIGESTS[1], pdu.F_LAST | pdu.F_HDGST, {(HDR, pdu.OFF_FLAGS), (HDR, pdu.OFF_PLEN), (HDR, pdu.OFF_DATAL)})):
        with env.row("flags %#x%s", flags, ", digests" if digests else ""):
            c, q = io(env, digests)
            with c:
                cmd = q.submit(nvme.WRITE, nsid=1, out=bytes(32768), auto=False, **nvme.rw(0, 64))
                r2t = q.take_r2t(cmd)
                q.send(q.h2c(cmd.cid, r2t.ttag, r2t.offset, bytes(r2t.length), over={"flags": flags}))
                q.take_term(legal)
    for bit in (3, 4, 5, 6, 7):
        with env.row("reserved bit %d", bit):
            c, q = io(env, {})
            with c:
                cmd = q.submit(nvme.WRITE, nsid=1, out=bytes(32768), auto=False, **nvme.rw(0, 64))
                r2t = q.take_r2t(cmd)
                q.send(q.h2c(cmd.cid, r2t.ttag, r2t.offset, bytes(r2t.length), flags=pdu.F_LAST | 1 << bit))
                try:
                    if r2t.length == 32768:
                        status(q.wait(cmd), 0)
                except Terminated as end:
                    same((end.fes, end.fei), (HDR, pdu.OFF_FLAGS), "fes, fei")


def h2c_beyond_maximum(env):
    """More in one H2CData than MAXH2CDATA."""
    c, q = io(env, {})
    with c:
        size = max(q.maxh2c * 2, 1 << 20) if q.maxh2c * 2 <= 1 << 20 else 1 << 20
        cmd = q.submit(nvme.WRITE, nsid=1, out=bytes(size), auto=False, **nvme.rw(0, size // 512))
        r2t = q.take_r2t(cmd)
        q.send(q.h2c(cmd.cid, r2t.ttag, r2t.offset, bytes(q.maxh2c + 512), last=False))
        q.take_term(LENGTH)


def idle_tags(env):
    """H2CData while no command waits for data: every tag, on a fresh queue and on a used one."""
    for used in (False, True):
        for ttag in (0, 1, 2, 30, 31, 32, 62, 63, 64, 65, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF):
            with env.row("ttag %#x, %s queue", ttag, "used" if used else "fresh"):
                c, q = io(env, DIGESTS[ttag & 1])
                with c:
                    if used:
                        q.run(nvme.WRITE, nsid=1, out=bytes(32768), **nvme.rw(0, 64))
                        q.run(nvme.WRITE, nsid=1, out=bytes(512), inline=True, **nvme.rw(0, 1))
                    q.send(q.h2c(q.next_cid, ttag, 0, bytes(512)))
                    q.take_term(TAG | {(HDR, pdu.OFF_CCCID)})
    with env.row("admin queue before Connect"), env.peer() as p:
        p.send(p.h2c(0, 0, 0, bytes(512)))
        p.take_term(TAG | {(HDR, pdu.OFF_CCCID)})
    with env.row("admin queue"), env.controller() as c:
        c.admin.send(c.admin.h2c(0, 0, 0, bytes(512)))
        c.admin.take_term(TAG | {(HDR, pdu.OFF_CCCID)})


def stalled_commands(env):
    """H2CData for commands that are executing and wait for nothing: a read, a flush, a write whose data came."""
    options = env.get("NVTGT_NULL_OPTIONS")
    need(options, "NVTGT_NULL_OPTIONS names the null namespace's options file")
    kinds = {"read": (nvme.READ, dict(nvme.rw(0, 8), read=32768)), "flush": (nvme.FLUSH, {}),
             "write in the capsule": (nvme.WRITE, dict(nvme.rw(0, 1), out=bytes(4096), inline=True)),
             "write by R2T": (nvme.WRITE, dict(nvme.rw(0, 8), out=bytes(32768)))}
    with open(options, encoding="ascii") as f:
        before = f.read().strip()
    for name, (opcode, kw) in kinds.items():
        for ttag in (None, 0, 1, 2, 63):
            with env.row("%s, ttag %s", name, ttag):
                c, q = io(env, {})
                with c:
                    cases.write_attr(options, before + ",stall=1")
                    try:
                        cmd = q.submit(opcode, nsid=2, **kw)
                        tag = ttag
                        if name == "write by R2T":
                            r2t = q.take_r2t(cmd)
                            while cmd.asked < 32768:
                                q.pump()
                            tag = r2t.ttag if ttag is None else ttag
                        q.send(q.h2c(cmd.cid, tag or 0, 0, bytes(4096)))
                        got = q.recv()
                        same(got.type, pdu.C2H_TERM, "type")
                        need(any(got.fes == f and i in (None, got.fei) for f, i in TAG | PLACE | LENGTH | LAST | {(HDR, pdu.OFF_CCCID)}),
                             "fes %d fei %d", got.fes, got.fei)
                    finally:
                        cases.write_attr(options, before + ",stall=0")
                    q.shut()
                    q.take_end()


def after_failed_command(env):
    """H2CData for a command that was refused, with data that nobody asked for."""
    for digests in DIGESTS:
        for name, kw in (("bad namespace", {"nsid": 77}), ("out of range", dict(nvme.rw(1 << 40, 64), nsid=1)),
                         ("bad opcode", {"nsid": 1})):
            with env.row("%s%s", name, ", digests" if digests else ""):
                c, q = io(env, digests)
                with c:
                    if name == "bad opcode":
                        cmd = q.run(0xC1, nsid=1, out=bytes(32768))
                    else:
                        kw.setdefault("cdw12", 63)
                        cmd = q.run(nvme.WRITE, out=bytes(32768), **kw)
                    need(cmd.status, "the command succeeded")
                    q.send(q.h2c(cmd.cid, 0, 0, bytes(4096)))
                    q.take_term(TAG | {(HDR, pdu.OFF_CCCID)})


def refused_with_data_in_capsule(env):
    """A refused command whose data is in the capsule: the data is skipped, the next command is understood."""
    for digests in DIGESTS:
        with env.row("digests %s", bool(digests)):
            c, q = io(env, digests)
            with c:
                for _ in range(5):
                    for kw in ({"nsid": 77}, dict(nvme.rw(1 << 40, 8), nsid=1), {"nsid": 1, "flags": 0}, {"nsid": 1, "flags": 0x41}):
                        kw.setdefault("cdw12", 7)
                        cmd = q.run(nvme.WRITE, out=ctrl.pattern(4096), inline=True, **kw)
                        need(cmd.status, "the command succeeded: %r", kw)
                    status(q.run(0xC1, nsid=1, out=ctrl.pattern(4096), inline=True), nvme.INVALID_OPCODE)
                    status(q.run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)


# -- data digests --------------------------------------------------------------

def data_digest_in_capsule(env):
    """A wrong data digest fails its command (Transient Transport Error) and nothing else."""
    with_data = ctrl.pattern(4096)
    for hdgst in (False, True):
        with env.row("header digest %s", hdgst):
            c, q = io(env, {"hdgst": hdgst, "ddgst": True})
            with c:
                status(q.run(nvme.WRITE, nsid=1, out=with_data, inline=True, **nvme.rw(8, 8)), 0)
                for flip in (1, 0x80000000, 0xFFFFFFFF):
                    cmd = q.run(nvme.WRITE, nsid=1, out=bytes(4096), inline=True, framing={"bad_ddgst": flip}, **nvme.rw(8, 8))
                    status(cmd, {nvme.TRANSIENT_TRANSPORT, 0x004})
                    cmd = q.run(nvme.WRITE, nsid=77, out=bytes(4096), inline=True, framing={"bad_ddgst": flip}, **nvme.rw(8, 8))
                    status(cmd, {nvme.TRANSIENT_TRANSPORT, 0x004, nvme.INVALID_NS})
                cmd = q.run(nvme.READ, nsid=1, read=4096, **nvme.rw(8, 8))
                status(cmd, 0)
                need(cmd.data == with_data, "data of a failed write reached the namespace")
        with env.row("Connect, header digest %s", hdgst), env.peer(hdgst=hdgst, ddgst=True) as p:
            cmd = ctrl.connect(p, ctrl.Host(), env.nqn, framing={"bad_ddgst": 1})
            status(cmd, {nvme.TRANSIENT_TRANSPORT, 0x004})
            status(ctrl.connect(p, ctrl.Host(), env.nqn), 0)


def data_digest_h2c(env):
    """The same in H2CData, in the first, a middle and the last of several."""
    good = ctrl.pattern(32768)
    for hdgst in (False, True):
        for where in range(4):
            with env.row("part %d of 4, header digest %s", where, hdgst):
                c, q = io(env, {"hdgst": hdgst, "ddgst": True})
                with c:
                    status(q.run(nvme.WRITE, nsid=1, out=good, **nvme.rw(0, 64)), 0)
                    cmd = q.submit(nvme.WRITE, nsid=1, out=bytes(32768), auto=False, **nvme.rw(0, 64))
                    sent = 0
                    while sent < 32768 and not cmd.done:
                        while not cmd.open_r2t and not cmd.done:
                            q.pump()
                        if cmd.done:
                            break
                        r2t = cmd.open_r2t.pop(min(cmd.open_r2t))
                        step = max(512, r2t.length // 4)
                        for i in range(0, r2t.length, step):
                            count = min(step, r2t.length - i)
                            q.send(q.h2c(cmd.cid, r2t.ttag, r2t.offset + i, bytes(count), last=i + count == r2t.length,
                                         bad_ddgst=1 if (r2t.offset + i) // 8192 == where else 0))
                            sent += count
                    status(q.wait(cmd), {nvme.TRANSIENT_TRANSPORT, 0x004})
                    for _ in range(3):
                        status(q.run(nvme.WRITE, nsid=1, out=bytes(32768), **nvme.rw(64, 64)), 0)
                        status(q.run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)


def data_digest_split(env):
    """A write split over many H2CData: each digest is over its own PDU's data."""
    for split in ([4], [512], [4096], [4, 508, 1024, 36], [8192], [16384, 4], [32764]):
        total = 32768 if split != [4] else 16384 + 512
        with env.row("split %r", split):
            c, q = io(env, {"hdgst": True, "ddgst": True})
            with c:
                data = ctrl.pattern(total)
                status(q.run(nvme.WRITE, nsid=1, out=data, split=split, **nvme.rw(0, total // 512)), 0)
                cmd = q.run(nvme.READ, nsid=1, read=total, **nvme.rw(0, total // 512))
                status(cmd, 0)
                need(cmd.data == data, "data differs")


def stray_behind_error(env):
    """Right PDUs directly behind a wrong one, in one segment: nothing of them is executed."""
    c, q = io(env, {})
    with c:
        keep = ctrl.pattern(4096)
        status(q.run(nvme.WRITE, nsid=1, out=keep, inline=True, **nvme.rw(0, 8)), 0)
        bad = q.capsule(nvme.sqe(nvme.READ, 9, nsid=1, dptr=nvme.sgl_host(512)), over={"hlen": 73})
        _, write = q.submit(nvme.WRITE, nsid=1, out=bytes(4096), inline=True, held=True, **nvme.rw(0, 8))
        q.send(bad + write * 10)
        q.take_term({(HDR, pdu.OFF_HLEN)}, bad)
    c, q = io(env, {})
    with c:
        cmd = q.run(nvme.READ, nsid=1, read=4096, **nvme.rw(0, 8))
        need(cmd.data == keep, "a write behind the error was executed")


def data_never_comes(env):
    """A write whose data does not come ends its connection after data_timeout_ms."""
    parameter = env.get("NVTGT_DATA_TIMEOUT")
    need(parameter, "NVTGT_DATA_TIMEOUT names the module parameter")
    with open(parameter, encoding="ascii") as f:
        before = f.read().strip()
    cases.write_attr(parameter, int(2000 * env.slow))
    try:
        for name in ("nothing", "half an H2CData", "one of two", "half a header", "half a capsule"):
            with env.row(name):
                c, q = io(env, {})
                with c:
                    cmd = q.submit(nvme.WRITE, nsid=1, out=bytes(32768), auto=False, **nvme.rw(0, 64))
                    r2t = q.take_r2t(cmd)
                    half = r2t.length // 2
                    if name == "half an H2CData":
                        q.send(q.h2c(cmd.cid, r2t.ttag, 0, bytes(r2t.length))[:half])
                    elif name == "one of two":
                        q.send(q.h2c(cmd.cid, r2t.ttag, 0, bytes(half), last=False))
                    elif name == "half a header":
                        q.send(q.h2c(cmd.cid, r2t.ttag, 0, bytes(half), last=False)[:11])
                    elif name == "half a capsule":
                        q.send(q.capsule(nvme.sqe(nvme.FLUSH, 99, nsid=1))[:30])
                    for got in q.take_end():
                        same(got.type, {pdu.C2H_TERM, pdu.RSP, pdu.R2T}, "type")
    finally:
        cases.write_attr(parameter, before)


if __name__ == "__main__":
    sys.exit(cases.main([
        command_headers, command_lengths_with_data, too_much_in_capsule, command_flags, command_pdo, header_digest,
        h2c_fields, h2c_flags, h2c_beyond_maximum, idle_tags, stalled_commands, after_failed_command,
        refused_with_data_in_capsule, data_digest_in_capsule, data_digest_h2c, data_digest_split, stray_behind_error,
        data_never_comes]))
