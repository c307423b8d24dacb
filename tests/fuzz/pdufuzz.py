#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Mutates the PDUs of lawful conversations. The same seed gives the same bytes.

A conversation (set-up, a controller, I/O) is made by the raw peer as ever, and a mutator stands
where bytes leave: it changes, drops, repeats, cuts or inserts. Whatever the target answers is legal
as long as it is well-formed; what is not: a malformed PDU, a hang, and (the bench looks) anything in the
kernel's log.
"""

import argparse
import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from nvmetcp import cases, crc32c, ctrl, nvme, pdu  # noqa: E402
from nvmetcp.peer import Closed, Peer, Silence, Terminated  # noqa: E402
from nvmetcp.pdu import Violation  # noqa: E402

VALUES = (0, 1, 2, 3, 4, 7, 8, 23, 24, 71, 72, 76, 127, 128, 255, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x10000,
          0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF, 1 << 32, 1 << 55, 1 << 56, 1 << 63, (1 << 64) - 1)
# interesting places of PDU headers and of a submission queue entry behind its header: offset, size
PLACES = [(0, 1), (1, 1), (2, 1), (3, 1), (4, 4), (8, 2), (10, 2), (10, 1), (11, 1), (12, 4), (16, 4), (8, 1), (9, 1), (12, 4),
          (32, 8), (40, 4), (47, 1), (48, 4), (52, 4), (56, 4), (60, 4), (64, 4), (48, 8)]


class Mutant(Peer):
    """A peer whose bytes are tampered with on their way out."""

    def __init__(self, *args, rand, chance, **kw):
        self.rand, self.chance = rand, 0.0
        self.tampered = 0
        self.history = []
        self.after = chance
        super().__init__(*args, **kw)

    def arm(self):
        self.chance = self.after

    def send(self, data):
        data = bytes(data)
        if data and self.rand.random() < self.chance:
            data = self.tamper(data)
        if data:
            super().send(data)

    def tamper(self, data):
        r = self.rand
        kind = r.choice(("field", "field", "field", "field", "flip", "bytes", "cut", "repeat", "insert", "drop", "digest", "swap"))
        self.tampered += 1
        self.history.append(kind)
        out = bytearray(data)
        if kind == "field":
            for _ in range(r.choice((1, 1, 1, 2, 3))):
                at, size = r.choice(PLACES)
                if at + size <= len(out):
                    value = r.choice(VALUES) if r.random() < 0.7 else r.getrandbits(size * 8)
                    out[at:at + size] = (value & ((1 << size * 8) - 1)).to_bytes(size, "little")
            self.mend(out)
        elif kind == "flip":
            for _ in range(r.choice((1, 1, 2, 8))):
                out[r.randrange(min(len(out), 200))] ^= 1 << r.randrange(8)
            if r.random() < 0.5:
                self.mend(out)
        elif kind == "bytes":
            at = r.randrange(len(out))
            out[at:at + 8] = r.randbytes(8)
        elif kind == "cut":
            del out[r.randrange(len(out)):]
        elif kind == "repeat":
            out += bytes(out)
        elif kind == "insert":
            at = r.choice((0, len(out), r.randrange(len(out))))
            out[at:at] = self.stray()
        elif kind == "drop":
            out.clear()
        elif kind == "digest" and len(out) >= 4:
            out[-1] ^= 0xFF
        elif kind == "swap":
            out = self.stray() + out
        return bytes(out)

    def mend(self, out):
        """A right header digest over the wrong header, most of the time."""
        hlen = out[2]
        if self.hdgst and hlen + 4 <= len(out) and self.rand.random() < 0.8:
            out[hlen:hlen + 4] = struct.pack("<I", crc32c.crc32c(out[:hlen]))

    def stray(self):
        """A PDU that nobody asked for."""
        r = self.rand
        kind = r.randrange(7)
        if kind == 0:
            return bytearray(pdu.ic_req(hpda=r.randrange(40), digest=r.randrange(4)))
        if kind == 1:
            return bytearray(pdu.h2c_term(fes=r.randrange(8)))
        if kind == 2:
            return bytearray(self.h2c(r.randrange(64), r.randrange(64), r.choice((0, 4096, 1 << 31)), r.randbytes(r.choice((4, 512, 4096))),
                                      last=r.random() < 0.5))
        if kind == 3:
            return bytearray(self.capsule(r.randbytes(64)))
        if kind == 4:
            length = r.choice((0, 512, 4096, 8192))
            return bytearray(self.capsule(nvme.sqe(r.choice((0, 1, 2, 8, 9, 0x7F)), r.randrange(0xFFFF), nsid=r.choice((0, 1, 2)),
                                                   dptr=nvme.sgl_host(length), **nvme.rw(0, max(1, length // 512)))))
        if kind == 5:
            return bytearray(r.randbytes(r.randrange(1, 200)))
        return bytearray(pdu.common(r.randrange(256), r.randrange(256), r.choice((24, 72, 128)), 0, r.choice((24, 72, 128, 4096))))


def mutant(env, rand, chance, timeout, **kw):
    return Mutant(env.address, env.port, rand=rand, chance=chance, timeout=timeout, **kw)


def io_talk(q, r):
    """Reads and writes of every kind, some at a time."""
    made = []
    for _ in range(r.randrange(1, 8)):
        blocks = r.choice((1, 2, 8, 8, 16, 64))
        slba = r.randrange(1024)
        kind = r.randrange(6)
        if kind == 0:
            made.append(q.submit(nvme.WRITE, nsid=1, out=bytes(blocks * 512), split=r.choice(([4096], [512, 1024], [1 << 16])),
                                 **nvme.rw(slba, blocks)))
        elif kind == 1:
            made.append(q.submit(nvme.WRITE, nsid=1, out=bytes(min(blocks, 8) * 512), inline=True, **nvme.rw(slba, min(blocks, 8))))
        elif kind in (2, 3):
            made.append(q.submit(nvme.READ, nsid=1, read=blocks * 512, **nvme.rw(slba, blocks)))
        elif kind == 4:
            made.append(q.submit(nvme.DSM, nsid=1, out=struct.pack("<IIQ", 0, 8, slba), inline=r.random() < 0.5, cdw11=4))
        else:
            made.append(q.submit(r.choice((nvme.FLUSH, nvme.WRITE_ZEROES)), nsid=1, **nvme.rw(slba, blocks)))
    q.wait(*made)


def admin_talk(a, r):
    kind = r.randrange(4)
    if kind == 0:
        a.run(nvme.A_IDENTIFY, cdw10=r.randrange(9), nsid=r.choice((0, 1)), read=4096)
    elif kind == 1:
        a.run(nvme.A_LOG, nsid=0xFFFFFFFF, cdw10=r.choice((1, 2, 3, 4, 5)) | 127 << 16, read=512)
    elif kind == 2:
        a.run(nvme.A_GET_FEATURES, cdw10=r.choice((6, 7, 11, 15)))
    else:
        a.run(nvme.A_KEEP_ALIVE)


def conversation(env, r, timeout):
    """One tampered conversation; where the tampering begins is drawn too. Returns what ended it."""
    digests = {"hdgst": r.random() < 0.5, "ddgst": r.random() < 0.5, "hpda": r.choice((0, 0, 0, 5, 31)), "maxr2t": r.choice((0, 0, 3))}
    stage = r.choice(("icreq", "connect", "enable", "admin", "io", "io", "io", "io"))
    chance = r.choice((0.1, 0.3, 0.6))
    peers = []
    host = ctrl.Host(hostid=r.randbytes(16), nqn="nqn.2026-11.test:fuzz-%08x" % r.getrandbits(32))
    try:
        a = mutant(env, r, chance, timeout, icreq=False, **digests)
        peers.append(a)
        if stage == "icreq":
            a.arm()
        a.initialize()
        if stage == "connect":
            a.arm()
        if ctrl.connect(a, host, r.choice((env.nqn, env.nqn, env.nqn, nvme.DISCOVERY_NQN))).status:
            return "refused"
        if stage == "enable":
            a.arm()
        ctrl.enable(a, timeout=timeout)
        if stage == "admin":
            a.arm()
        if stage != "io":
            for _ in range(r.randrange(1, 12)):
                admin_talk(a, r)
            return "done"
        q = mutant(env, r, chance, timeout, **digests)
        peers.append(q)
        if ctrl.connect(q, host, env.nqn, qid=1, cntlid=a.cntlid, cattr=r.choice((0, 4))).status:
            return "refused"
        q.arm()
        for _ in range(r.randrange(1, 8)):
            io_talk(q, r)
        return "done"
    except Terminated:
        return "terminated"
    except (Closed, Silence, OSError) as why:
        return type(why).__name__.lower()
    finally:
        for p in peers:
            if r.random() < 0.3:
                p.reset()
            else:
                p.close()


# Where the peer's own bookkeeping is at odds because its bytes were changed, not the target's doing.
OF_OUR_MAKING = ("for no command", "R2T for", "C2HData beyond", "completed without", "SQHD", "SQID", "SUCCESS", "R2T at", "R2Ts outstanding",
                 "instead of ICResp", "C2HData at", "Connect completed", "CC:", "Property Get", "CSTS.RDY",
                 "header digest", "data digest", "data at", "ICResp with digests")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--first", type=int, default=0, help="begin with this iteration, to repeat one of them")
    parser.add_argument("--silence", type=float, default=0.3, help="how long to wait for an answer that may not come")
    args = parser.parse_args()
    env = cases.Env()
    print("seed %d" % args.seed, flush=True)
    ends, bad, start = {}, 0, time.monotonic()
    for i in range(args.first, args.first + args.iterations):
        if time.monotonic() - start > args.seconds:
            break
        r = random.Random(args.seed * 1000003 + i)
        try:
            end = conversation(env, r, args.silence)
        except Violation as why:
            end = "our own confusion"
            if not any(text in str(why) for text in OF_OUR_MAKING):
                bad += 1
                print("not ok seed %d iteration %d: %s" % (args.seed, i, why), flush=True)
        except (KeyError, IndexError, ValueError) as why:
            end = "our own confusion"
            del why
        ends[end] = ends.get(end, 0) + 1
        if i % 50 == 49:
            try:
                env.alive()
            except cases.FAILURES as why:
                print("not ok seed %d iteration %d: no host gets in any more: %s" % (args.seed, i, why), flush=True)
                return 1
    env.alive()
    print("%d conversations in %.0f s: %s" % (sum(ends.values()), time.monotonic() - start, ends), flush=True)
    if not ends.get("terminated") or not ends.get("done"):
        print("not ok no conversation came to an error, or none to its end")
        return 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
