#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The first PDU of a connection: right ones, wrong ones, none at all."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme, pdu  # noqa: E402
from nvmetcp.cases import need, same  # noqa: E402
from nvmetcp.peer import Closed, Silence  # noqa: E402


def refused(env, raw, legal):
    """Sent as the first bytes of a connection, raw gets a C2HTermReq out of legal."""
    with env.peer(icreq=False) as p:
        p.send(raw)
        p.take_term(legal, raw)


def accepted(env, p, raw, digest=0):
    p.send(raw)
    p.take_icresp(digest)
    same(ctrl.connect(p, ctrl.Host(), env.nqn).status, 0, "Connect")


def icreq_plain(env):
    with env.peer(icreq=False) as p:
        accepted(env, p, pdu.ic_req())


def icreq_digests(env):
    for digest in range(4):
        with env.row("digest %d", digest), env.peer(icreq=False) as p:
            p.send(pdu.ic_req(digest=digest))
            p.take_icresp(digest)
            same((p.hdgst, p.ddgst), (bool(digest & 1), bool(digest & 2)), "digests of the ICResp")
            same(ctrl.connect(p, ctrl.Host(), env.nqn).status, 0, "Connect")


def icreq_hpda(env):
    """Host PDU Data Alignment: 0 to 31, and what is not defined (section 3.6.2.2)."""
    for hpda in range(32):
        with env.row("hpda %d", hpda), env.controller(hpda=hpda) as c:
            c.identify_data(1)
    for hpda in (32, 33, 63, 64, 127, 128, 255):
        with env.row("hpda %d", hpda):
            refused(env, pdu.ic_req(hpda=hpda), {(pdu.FES_HDR, pdu.OFF_HPDA), (pdu.FES_PARAM, pdu.OFF_HPDA)})


def icreq_maxr2t(env):
    """Any MAXR2T is legal: it bounds the controller, not the host."""
    for maxr2t in (0, 1, 2, 3, 7, 15, 31, 127, 255, 1023, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF):
        with env.row("maxr2t %#x", maxr2t), env.controller(maxr2t=maxr2t) as c:
            q = c.io_queue()
            data = ctrl.pattern(16384)
            cmd = q.run(nvme.WRITE, nsid=1, out=data, **nvme.rw(0, 32))
            same(cmd.status, 0, "Write")


def icreq_pfv(env):
    for pfv in (1, 2, 0x7FFF, 0x8000, 0xFFFF):
        with env.row("pfv %#x", pfv):
            refused(env, pdu.ic_req(pfv=pfv), {(pdu.FES_PARAM, pdu.OFF_PFV), (pdu.FES_HDR, pdu.OFF_PFV)})


def icreq_lengths(env):
    for hlen in (0, 1, 7, 8, 24, 72, 127, 129, 255):
        with env.row("hlen %d", hlen):
            refused(env, pdu.ic_req(hlen=hlen), {(pdu.FES_HDR, pdu.OFF_HLEN)})
    for plen in (0, 1, 7, 8, 24, 127, 129, 132, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        with env.row("plen %d", plen):
            refused(env, pdu.ic_req(plen=plen), {(pdu.FES_HDR, pdu.OFF_PLEN)})


def icreq_reserved_fields(env):
    """Reserved fields: ignored, or refused by their place; nothing else."""
    rows = [({"flags": 1 << bit}, pdu.OFF_FLAGS) for bit in range(8)]
    rows += [({"pdo": v}, pdu.OFF_PDO) for v in (1, 4, 127, 128, 255)]
    for over, place in rows:
        with env.row("%r", over), env.peer(icreq=False) as p:
            raw = pdu.ic_req(**over)
            p.send(raw)
            got = p.recv()
            if got.type == pdu.C2H_TERM:
                same((got.fes, got.fei), (pdu.FES_HDR, place), "fes, fei")
            else:
                same(got.type, pdu.IC_RESP, "type")
    for digest in (4, 8, 0x80, 0xFC):
        with env.row("digest %#x", digest), env.peer(icreq=False) as p:
            p.send(pdu.ic_req(digest=digest))
            got = p.recv()
            if got.type == pdu.C2H_TERM:
                same((got.fes, got.fei), {(pdu.FES_HDR, pdu.OFF_DGST), (pdu.FES_PARAM, pdu.OFF_DGST)}, "fes, fei")
            else:
                same(got.raw[11] & 0xFC, 0, "reserved digest bits of the ICResp")
    with env.row("reserved bytes"), env.peer(icreq=False) as p:
        p.send(pdu.ic_req(rest=b"\xff" * 112))
        got = p.recv()
        same(got.type, {pdu.IC_RESP, pdu.C2H_TERM}, "type")


def other_pdu_first(env):
    """The first PDU is an ICReq or the connection ends (section 3.3)."""
    wrong = {(pdu.FES_SEQ, None), (pdu.FES_HDR, pdu.OFF_TYPE)}
    for kind in range(256):
        if kind in (pdu.IC_REQ, pdu.H2C_TERM):
            continue
        with env.row("type %#x", kind):
            hlen = {pdu.CMD: 72, pdu.IC_RESP: 128}.get(kind, 24)
            refused(env, pdu.common(kind, 0, hlen, 0, hlen) + bytes(128 - 8), wrong)


def term_first(env):
    """H2CTermReq before anything: the target goes, and has nothing to say or a C2HTermReq."""
    with env.peer(icreq=False) as p:
        p.send(pdu.h2c_term() + bytes(104))
        for got in p.take_end():
            same(got.type, pdu.C2H_TERM, "type")


def icreq_twice(env):
    """A second ICReq is out of sequence, in every state."""
    wrong = {(pdu.FES_SEQ, None), (pdu.FES_HDR, pdu.OFF_TYPE)}
    raw = pdu.ic_req()
    with env.row("both at once"), env.peer(icreq=False) as p:
        # the error may be found before the ICResp has gone out
        p.send(raw + raw)
        p.take_term(wrong, raw)
    for digest in range(4):
        with env.row("after ICResp, digests %d", digest), env.peer(icreq=False) as p:
            p.initialize(digest=digest)
            p.send(raw)
            p.take_term(wrong | ({(pdu.FES_HDGST, None), (pdu.FES_HDR, pdu.OFF_FLAGS)} if digest & 1 else set()), raw)
    with env.row("after Connect"), env.peer() as p:
        ctrl.connect(p, ctrl.Host(), env.nqn)
        p.send(raw)
        p.take_term(wrong, raw)
    with env.row("on an I/O queue"), env.controller() as c:
        q = c.io_queue()
        q.send(raw)
        q.take_term(wrong, raw)


def garbage_first(env):
    """Bytes that are no NVMe/TCP: the connection ends, whatever they are."""
    rows = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".ljust(128), b"\xff" * 128, b"SSH-2.0-x\r\n".ljust(128), b"\x16\x03\x01" * 43]
    rows += [bytes([1]) + bytes(env.random.randrange(256) for _ in range(200)) for _ in range(20)]
    for i, raw in enumerate(rows):
        with env.row("row %d", i), env.peer(icreq=False) as p:
            p.send(raw)
            p.take_term({(fes, None) for fes in range(1, 7)})


def byte_at_a_time(env):
    """ICReq, Connect, Identify and a read, each byte a segment."""
    with env.peer(icreq=False, hdgst=True, ddgst=True) as p:
        p.chop = 1
        p.initialize()
        same(ctrl.connect(p, ctrl.Host(), env.nqn).status, 0, "Connect")
        ctrl.enable(p)
        cmd = p.run(nvme.A_IDENTIFY, cdw10=1, read=4096)
        same((cmd.status, cmd.got), (0, 4096), "Identify")


def odd_pieces(env):
    """The same in pieces that end everywhere within a PDU."""
    for size in (3, 5, 7, 11, 23, 73, 127, 129, 131):
        with env.row("pieces of %d", size), env.peer(icreq=False, hdgst=size & 2 != 0, ddgst=True) as p:
            p.chop = size
            p.initialize()
            same(ctrl.connect(p, ctrl.Host(), env.nqn).status, 0, "Connect")
            ctrl.enable(p)
            same(p.run(nvme.A_IDENTIFY, cdw10=1, read=4096).status, 0, "Identify")


def all_in_one_write(env):
    """ICReq and Connect without waiting for the ICResp: legal bytes, or a clean end."""
    with env.peer(icreq=False) as p:
        _, raw = ctrl.connect(p, ctrl.Host(), env.nqn, held=True)
        p.send(pdu.ic_req() + raw)
        p.take_icresp()
        cmd = next(iter(p.pending.values()))
        same(p.wait(cmd).status, 0, "Connect")


def set_up_time_out(env):
    """No ICReq, half an ICReq, no Connect, half a Connect: the connection ends by itself."""
    parameter = env.get("NVTGT_SETUP_TIMEOUT")
    need(parameter, "NVTGT_SETUP_TIMEOUT names the module parameter")
    with open(parameter, encoding="ascii") as f:
        before = f.read().strip()
    cases.write_attr(parameter, int(3000 * env.slow))
    try:
        rows = {}
        for name in ("nothing", "half an ICReq", "no Connect", "half a Connect"):
            p = env.peer(icreq=False)
            rows[name] = p
            if name == "half an ICReq":
                p.send(pdu.ic_req()[:64])
            elif name != "nothing":
                p.initialize()
            if name == "half a Connect":
                _, raw = ctrl.connect(p, ctrl.Host(), env.nqn, held=True)
                p.send(raw[:500])
        with env.peer() as connected:
            same(ctrl.connect(connected, ctrl.Host(), env.nqn).status, 0, "Connect")
            for name, p in rows.items():
                with env.row(name), p:
                    for got in p.take_end():
                        same(got.type, pdu.C2H_TERM, "type")
            with env.row("a connected queue stays"):
                same(ctrl.prop_get(connected, nvme.VS).status, 0, "Property Get")
    finally:
        cases.write_attr(parameter, before)


def slow_icreq(env):
    """A byte now and then does not keep a connection alive for ever."""
    parameter = env.get("NVTGT_SETUP_TIMEOUT")
    need(parameter, "NVTGT_SETUP_TIMEOUT names the module parameter")
    with open(parameter, encoding="ascii") as f:
        before = f.read().strip()
    cases.write_attr(parameter, int(3000 * env.slow))
    try:
        with env.peer(icreq=False) as p:
            end = time.monotonic() + env.timeout
            for byte in pdu.ic_req():
                p.send(bytes([byte]))
                try:
                    p.recv(0.5)
                except Silence:
                    need(time.monotonic() < end, "still open after %d s", env.timeout)
                    continue
                except Closed:
                    return
                break
            p.take_end()
            need(False, "128 slow bytes were waited for")
    finally:
        cases.write_attr(parameter, before)


def after_term_silence(env):
    """After C2HTermReq nothing is answered: commands sent behind the error are not executed."""
    with env.controller() as c:
        bad = pdu.common(0x42, 0, 24, 0, 24) + bytes(16)
        good = b"".join(c.admin.submit(nvme.A_IDENTIFY, cdw10=1, read=4096, held=True)[1] for _ in range(8))
        c.admin.send(bad + good)
        c.admin.take_term({(pdu.FES_HDR, pdu.OFF_TYPE)}, bad)


def after_term_linger(env):
    """The target closes by itself when the peer does not."""
    with env.peer(icreq=False) as p:
        p.send(pdu.ic_req(pfv=1))
        got = p.recv()
        same(got.type, pdu.C2H_TERM, "type")
        p.take_close()


def half_close(env):
    """FIN with commands in flight: the target ends the connection, no hang."""
    with env.controller() as c:
        q = c.io_queue()
        for i in range(16):
            q.submit(nvme.READ, nsid=1, read=4096, **nvme.rw(i * 8, 8))
        q.shut()
        q.take_end()


def other_direction_and_unknown_types(env):
    """After Connect: PDU types that a host does not send."""
    wrong = {(pdu.FES_HDR, pdu.OFF_TYPE), (pdu.FES_SEQ, None)}
    for kind in [pdu.IC_RESP, pdu.C2H_TERM, pdu.RSP, pdu.C2H_DATA, pdu.R2T, 8, 10, 11, 12, 0x10, 0x42, 0x7F, 0x80, 0xFF]:
        for digest in (0, 3):
            with env.row("type %#x, digests %d", kind, digest), env.controller(
                    hdgst=bool(digest), ddgst=bool(digest), enabled=False) as c:
                hlen = 128 if kind == pdu.IC_RESP else 24
                raw = c.admin.frame(kind, bytes(hlen - 8))
                c.admin.send(raw)
                c.admin.take_term(wrong, raw[:hlen])


def term_from_host(env):
    """H2CTermReq: the connection ends without an answer; also a malformed one ends it."""
    head = pdu.common(pdu.CMD, 0, 72, 0, 72) + bytes(64)
    rows = [("plain", pdu.h2c_term(), True), ("with header", pdu.h2c_term(data=head), True),
            ("128 bytes of data", pdu.h2c_term(data=bytes(128)), True),
            ("unknown fes", pdu.h2c_term(fes=0xFFFF, fei=0xFFFFFFFF), True),
            ("hlen 8", pdu.h2c_term(hlen=8), False), ("plen 8", pdu.h2c_term(plen=8), False),
            ("plen 23", pdu.h2c_term(plen=23), False), ("plen 153", pdu.h2c_term(data=bytes(129)), False),
            ("plen huge", pdu.h2c_term(plen=0xFFFFFFFF), False)]
    for name, raw, fine in rows:
        with env.row(name), env.controller(enabled=False) as c:
            c.admin.send(raw)
            for got in c.admin.take_end():
                same(got.type, pdu.C2H_TERM, "type")
                need(not fine, "a right H2CTermReq got an answer")


if __name__ == "__main__":
    sys.exit(cases.main([
        icreq_plain, icreq_digests, icreq_hpda, icreq_maxr2t, icreq_pfv, icreq_lengths, icreq_reserved_fields,
        other_pdu_first, term_first, icreq_twice, garbage_first, byte_at_a_time, odd_pieces, all_in_one_write,
        set_up_time_out, slow_icreq, after_term_silence, after_term_linger, half_close,
        other_direction_and_unknown_types, term_from_host]))
