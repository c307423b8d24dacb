#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The raw peer against a pretended target: what is right passes, and each breach is found."""

import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from nvmetcp import cases, nvme, pdu  # noqa: E402
from nvmetcp.crc32c import crc32c  # noqa: E402
from nvmetcp.peer import Closed, Peer, Terminated  # noqa: E402

READ = {"nsid": 1, "read": 4096}
WRITE = {"nsid": 1, "out": bytes(8192), "auto": False}


def ic_resp(pfv=0, cpda=0, digest=0, maxh2c=131072, rest=bytes(112), **over):
    return pdu.frame(pdu.IC_RESP, struct.pack("<HBBI", pfv, cpda, digest, maxh2c) + rest, over=over)


def rsp(cid=1, status=0, sqhd=0, sqid=0, phase=0, dw0=0, **kw):
    return pdu.frame(pdu.RSP, struct.pack("<IIHHHH", dw0, 0, sqhd, sqid, cid, status << 1 | phase), **kw)


def c2h(data, offset=0, cid=1, flags=pdu.F_LAST, length=None, **kw):
    body = struct.pack("<HHIII", cid, 0, offset, len(data) if length is None else length, 0)
    return pdu.frame(pdu.C2H_DATA, body, data, flags=flags, **kw)


def r2t(offset, length, cid=1, ttag=0, **kw):
    return pdu.frame(pdu.R2T, struct.pack("<HHIII", cid, ttag, offset, length, 0), **kw)


def term(fes=1, fei=2, data=b"", **over):
    over.setdefault("plen", 24 + len(data))
    return pdu.frame(pdu.C2H_TERM, struct.pack("<HI", fes, fei) + bytes(10), over=over) + data


def talk(answer, act, **kw):
    """A peer whose target says answer, whatever it hears, and closes when the peer does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        s, _ = listener.accept()
        with s:
            s.sendall(answer)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass

    t = threading.Thread(target=serve, daemon=True)
    t.start()
    try:
        with Peer("127.0.0.1", listener.getsockname()[1], timeout=10, **kw) as p:
            return act(p)
    finally:
        t.join(10)
        listener.close()


def command(**kw):
    return lambda p: p.run(nvme.WRITE if "out" in kw else nvme.READ, **kw)


def fine(env):
    data = bytes(range(256)) * 16
    both = {"hdgst": True, "ddgst": True}
    rows = [("read", ic_resp() + c2h(data) + rsp(), READ, {}), ("in two", ic_resp() + c2h(data[:100], flags=0) + c2h(data[100:], 100) + rsp(), READ, {}),
            ("digests", ic_resp(digest=3) + c2h(data, **both) + rsp(hdgst=True), READ, both),
            ("padding", ic_resp() + c2h(data, align=128) + rsp(), READ, {"hpda": 31}),
            ("R2Ts", ic_resp() + r2t(0, 4096) + r2t(4096, 4096) + rsp(), WRITE, {"maxr2t": 1}),
            ("refused", ic_resp() + rsp(status=2), READ, {})]
    for name, answer, what, kw in rows:
        with env.row(name):
            cmd = talk(answer, command(**what), **kw)
            cases.same(cmd.status, 2 if name == "refused" else 0, "status")
            cases.need(name in ("refused", "R2Ts") or cmd.data == data, "data differs")


def breaches(env):
    data = bytes(4096)
    both = {"hdgst": True, "ddgst": True}
    ok = ic_resp()
    rows = [("pfv", ic_resp(pfv=1), READ, {}), ("cpda", ic_resp(cpda=32), READ, {}), ("maxh2cdata", ic_resp(maxh2c=4095), READ, {}),
            ("reserved bytes of ICResp", ic_resp(rest=b"\1" * 112), READ, {}), ("digest unasked", ic_resp(digest=1), READ, {}),
            ("hlen of ICResp", ic_resp(hlen=127), READ, {}), ("type", ok + pdu.common(0x42, 0, 24, 0, 24) + bytes(16), READ, {}),
            ("offset", ok + c2h(data, 4), READ, {}), ("too much", ok + c2h(data + data), READ, {}), ("datal", ok + c2h(data, length=4092), READ, {}),
            ("no LAST", ok + c2h(data, flags=0) + rsp(), READ, {}), ("data after LAST", ok + c2h(data[:8]) + c2h(data[:8], 8), READ, {}),
            ("SUCCESS with flow control", ok + c2h(data, flags=pdu.F_LAST | pdu.F_SUCCESS), READ, {}),
            ("data digest", ic_resp(digest=3) + c2h(data, bad_ddgst=1, **both), READ, both),
            ("header digest", ic_resp(digest=3) + c2h(data, bad_hdgst=1, **both), READ, both),
            ("no digest", ic_resp(digest=3) + c2h(data), READ, both), ("alignment", ok + c2h(data), READ, {"hpda": 31}),
            ("pdo", ok + c2h(data, pdo=26), READ, {}), ("wrong command", ok + c2h(data, cid=9), READ, {}),
            ("completion of nothing", ok + rsp(cid=9), READ, {}), ("phase", ok + rsp(phase=1), READ, {}), ("sqid", ok + rsp(sqid=7), READ, {}),
            ("R2T of a read", ok + r2t(0, 4096), READ, {}), ("R2T beyond", ok + r2t(0, 8193), WRITE, {}), ("R2T of nothing", ok + r2t(0, 0), WRITE, {}),
            ("R2T with a gap", ok + r2t(4, 4096), WRITE, {}), ("R2T twice", ok + r2t(0, 4096) + r2t(0, 4096), WRITE, {"maxr2t": 3}),
            ("too many R2Ts", ok + r2t(0, 4096) + r2t(4096, 4096), WRITE, {}), ("data for a write", ok + c2h(data), WRITE, {}),
            ("plen", ok + rsp(over={"plen": 28}) + bytes(4), READ, {}), ("plen too large", ok + rsp(over={"plen": 1 << 30}), READ, {}),
            ("term of 153", ok + term(data=bytes(129)), READ, {})]
    for name, answer, what, kw in rows:
        with env.row(name):
            try:
                talk(answer, command(**what), **kw)
            except cases.Violation:
                continue
            cases.need(False, "was not found")


def ends(env):
    ok = ic_resp()

    def raises(kind, answer, act):
        try:
            talk(answer, act)
        except kind as why:
            return why
        raise cases.Violation("no %s" % kind.__name__)

    with env.row("closed"):
        cases.same(raises(Closed, ok, command(**READ)).cut, b"", "cut")
    with env.row("closed within a PDU"):
        cases.same(len(raises(Closed, ok + rsp()[:13], command(**READ)).cut), 13, "cut")
    with env.row("terminated"):
        cases.same(raises(Terminated, ok + term(3, 77), command(**READ)).fei, 77, "fei")
    with env.row("the right error"):
        talk(ok + term(), lambda p: p.take_term({(1, 2)}))
    with env.row("any information"):
        talk(ok + term(2, 9), lambda p: p.take_term({(2, None)}))
    for name, answer in (("another error", term(2)), ("another field", term(1, 3)), ("more behind it", term() + rsp()), ("flags", term(flags=1)),
                         ("another header", term(data=b"\xff" * 24))):
        with env.row(name):
            raises(cases.Violation, ok + answer, lambda p: p.take_term({(1, 2)}, pdu.common(4, 0, 73, 0, 72)))


def sums(env):
    for text, want in ((b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43),
                       (bytes(range(32)), 0x46DD794E), (b"", 0)):
        cases.same(crc32c(text), want, "crc32c of %r" % text)
    cases.same(crc32c(b"6789", crc32c(b"12345")), 0xE3069283, "crc32c in two parts")
    cases.same(len(nvme.sqe(1)), 64, "length of a submission queue entry")
    cases.same(len(nvme.connect_data(bytes(16), 1, "a", "b")), 1024, "length of Connect's data")
    env.rows += 8


if __name__ == "__main__":
    # there is no target to stay alive
    cases.Env.alive = lambda self: None
    sys.exit(cases.main([sums, fine, breaches, ends]))
