#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""I/O commands with every field wrong: a status that says what, and nothing touched."""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme  # noqa: E402
from nvmetcp.cases import need, same, status  # noqa: E402

TOP = (1 << 64) - 1


def namespace_size(c, nsid=1):
    return struct.unpack_from("<Q", c.identify_data(0, nsid))[0]


def ranges(env):
    """SLBA and NLB at the end, beyond it, and where their sum wraps."""
    with env.controller() as c:
        q = c.io_queue()
        for nsid, block in ((1, 512), (2, 4096)):
            end = namespace_size(c, nsid)
            good = [(0, 1), (end - 1, 1), (end - 8, 8)]
            bad = [(end, 1), (end - 1, 2), (end - 7, 8), (end + 1, 1), (1 << 31, 8) if end <= 1 << 31 else (end, 8), (1 << 40, 1),
                   (1 << 52, 1), ((1 << 52) - 1, 8), (1 << 55, 1), ((1 << 55) - 1, 2), (1 << 56, 1), (1 << 63, 1), (TOP, 1), (TOP - 6, 8), (TOP - 7, 8),
                   ((1 << 64) // block, 1), ((1 << 63) // block, 1), ((1 << 63) // block - 1, 8)]
            for slba, blocks in good:
                with env.row("NSID %d SLBA %x, %d blocks", nsid, slba, blocks):
                    status(q.run(nvme.READ, nsid=nsid, read=blocks * block, **nvme.rw(slba, blocks)), 0)
                    status(q.run(nvme.WRITE_ZEROES, nsid=nsid, **nvme.rw(slba, blocks)), 0)
            for slba, blocks in bad:
                if slba + blocks <= end:
                    continue
                for name, opcode, kw in (("read", nvme.READ, {"read": blocks * block}),
                                         ("write by R2T", nvme.WRITE, {"out": bytes(blocks * block)}),
                                         ("write in the capsule", nvme.WRITE, {"out": bytes(min(blocks, 1) * block), "inline": True}),
                                         ("write zeroes", nvme.WRITE_ZEROES, {})):
                    with env.row("%s NSID %d SLBA %x, %d blocks", name, nsid, slba, blocks):
                        n = 1 if kw.get("inline") and slba >= end else blocks
                        legal = {nvme.LBA_RANGE} if not kw.get("inline") or slba >= end else {nvme.LBA_RANGE, nvme.SGL_LENGTH}
                        status(q.run(opcode, nsid=nsid, **kw, **nvme.rw(slba, n)), legal)


def block_counts(env):
    """NLB up to FFFFh: beyond MDTS is Invalid Field, beyond the end is out of range."""
    with env.controller() as c:
        q = c.io_queue()
        mdts = 4096 << c.identify_data(1)[77]
        for blocks in (1, 2, 7, 255, 256, 2047, 2048, 2049, 4096, 8192, 32768, 65535, 65536):
            length = blocks * 512
            for opcode in (nvme.READ, nvme.WRITE):
                with env.row("opcode %d, %d blocks", opcode, blocks):
                    kw = {"read": length} if opcode == nvme.READ else {"out": bytes(length)}
                    status(q.run(opcode, nsid=1, **kw, **nvme.rw(0, blocks)), 0 if length <= mdts else
                           {nvme.INVALID_FIELD, nvme.SGL_LENGTH})
            with env.row("write zeroes, %d blocks", blocks):
                status(q.run(nvme.WRITE_ZEROES, nsid=1, **nvme.rw(0, blocks)), 0)


def sgl_lengths(env):
    """NLB and the SGL's length disagree: Data SGL Length Invalid, no data moved."""
    with env.controller() as c:
        q = c.io_queue()
        for blocks, length in ((1, 0), (1, 511), (1, 513), (1, 1024), (8, 4095), (8, 512), (8, 1 << 20), (1, 0xFFFFFFFF),
                               (8, 0x80000000), (256, 4096), (65536, 512), (1, 1)):
            with env.row("read %d blocks, SGL %d", blocks, length):
                cmd = q.run(nvme.READ, nsid=1, dptr=nvme.sgl_host(length), read=0, **nvme.rw(0, blocks))
                status(cmd, {nvme.SGL_LENGTH} if blocks < 65536 else {nvme.SGL_LENGTH, nvme.INVALID_FIELD})
            with env.row("write %d blocks, SGL %d", blocks, length):
                cmd = q.run(nvme.WRITE, nsid=1, dptr=nvme.sgl_host(length), **nvme.rw(0, blocks))
                status(cmd, {nvme.SGL_LENGTH} if blocks < 65536 else {nvme.SGL_LENGTH, nvme.INVALID_FIELD})
        for opcode in (nvme.FLUSH, nvme.WRITE_ZEROES):
            for length in (512, 0xFFFFFFFF):
                with env.row("opcode %d with an SGL of %d", opcode, length):
                    cmd = q.run(opcode, nsid=1, dptr=nvme.sgl_host(length), **nvme.rw(0, 1))
                    status(cmd, {0, nvme.SGL_LENGTH})
                    same(len(cmd.r2ts), 0, "R2Ts")


def no_sgl(env):
    """A command without data may leave its data pointer cleared: the field is reserved there."""
    with env.controller() as c:
        q = c.io_queue()
        with env.row("flush"):
            status(q.run(nvme.FLUSH, nsid=1, dptr=bytes(16)), 0)
        with env.row("write zeroes"):
            status(q.run(nvme.WRITE_ZEROES, nsid=1, dptr=bytes(16), **nvme.rw(0, 1)), 0)
        with env.row("property get"):
            status(c.admin.run(nvme.OP_FABRICS, nsid=nvme.FC_PROP_GET, cdw11=nvme.CSTS, dptr=bytes(16)), 0)
        with env.row("a read needs one"):
            status(q.run(nvme.READ, nsid=1, dptr=bytes(16), **nvme.rw(0, 1)), {nvme.SGL_TYPE, nvme.SGL_LENGTH})


def sgl_kinds(env):
    """Every SGL descriptor type and sub type."""
    with env.controller() as c:
        q = c.io_queue()
        refused = {nvme.SGL_TYPE, nvme.INVALID_FIELD, nvme.SGL_OFFSET, nvme.SGL_LENGTH, 0x00D, 0x00E}
        for kind in range(256):
            if kind in (0x5A, 0x01):
                continue
            with env.row("read, SGL identifier %02x", kind):
                cmd = q.run(nvme.READ, nsid=1, dptr=nvme.sgl(0, 512, kind), read=512, **nvme.rw(0, 1))
                status(cmd, refused)
        with env.row("read into the capsule"):
            status(q.run(nvme.READ, nsid=1, dptr=nvme.sgl_capsule(512), read=512, **nvme.rw(0, 1)), refused)
        with env.row("the queue lives"):
            status(q.run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)
        for kind in (0x00, 0x02, 0x0A, 0x10, 0x20, 0x40, 0x4F, 0x50, 0x5B, 0xF0, 0xFF):
            with env.row("write in the capsule, SGL identifier %02x", kind):
                status(q.run(nvme.WRITE, nsid=1, out=bytes(512), inline=True, dptr=nvme.sgl(0, 512, kind), **nvme.rw(0, 1)), refused)
        for at in (1, 4, 512, 4096, 1 << 31, 1 << 32, 1 << 63, TOP, TOP - 511):
            with env.row("write in the capsule at %x", at):
                status(q.run(nvme.WRITE, nsid=1, out=bytes(512), inline=True, dptr=nvme.sgl_capsule(512, at), **nvme.rw(0, 1)), refused)
        with env.row("address in a transport SGL"):
            status(q.run(nvme.READ, nsid=1, dptr=nvme.sgl(TOP, 512, 0x5A), read=512, **nvme.rw(0, 1)), refused | {0})


def flags(env):
    """PSDT and FUSE."""
    with env.controller() as c:
        q = c.io_queue()
        for value in range(256):
            with env.row("flags %02x", value):
                cmd = q.run(nvme.READ, nsid=1, read=512, flags=value, **nvme.rw(0, 1))
                refused = {nvme.INVALID_FIELD, nvme.SGL_TYPE, 0x00A}
                if value & 3 or value >> 6 in (0, 3):
                    status(cmd, refused)
                elif value == 0x40:
                    status(cmd, 0)
                else:
                    status(cmd, refused | {0})


def opcodes(env):
    """Every opcode, with no data, data each way: refused unless known, and the queue lives."""
    known = {nvme.FLUSH, nvme.WRITE, nvme.READ, nvme.WRITE_ZEROES, nvme.DSM, nvme.OP_FABRICS}
    with env.controller() as c:
        q = c.io_queue()
        for opcode in range(256):
            if opcode in known:
                continue
            for name, kw in (("no data", {"read": 0}), ("a read", {"read": 512}), ("in the capsule", {"out": bytes(512), "inline": True}),
                             ("by R2T", {"out": bytes(16384)})):
                with env.row("opcode %02x, %s", opcode, name):
                    cmd = q.run(opcode, nsid=1, **kw)
                    status(cmd, nvme.INVALID_OPCODE)
                    need(not cmd.r2ts and not cmd.got, "data moved")
                    same((cmd.cqe.dw0, cmd.cqe.dw1), (0, 0), "dw0, dw1")
        with env.row("the queue lives"):
            status(q.run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)


def namespaces(env):
    """NSIDs that are not there, not active, or all."""
    with env.controller() as c:
        q = c.io_queue()
        for nsid in (0, 3, 4, 100, 1023, 1024, 1025, 0x7FFFFFFF, 0x80000001, 0xFFFFFFFE, 0xFFFFFFFF):
            for name, opcode, kw in (("read", nvme.READ, {"read": 512}), ("write in the capsule", nvme.WRITE, {"out": bytes(512), "inline": True}),
                                     ("write by R2T", nvme.WRITE, {"out": bytes(512)}), ("flush", nvme.FLUSH, {}),
                                     ("write zeroes", nvme.WRITE_ZEROES, {}), ("dsm", nvme.DSM, {"out": bytes(16), "cdw11": 4})):
                with env.row("%s, NSID %x", name, nsid):
                    legal = {nvme.INVALID_NS}
                    if name == "flush" and nsid == 0xFFFFFFFF:
                        legal |= {0, nvme.INVALID_FIELD}
                    status(q.run(opcode, nsid=nsid, **kw), legal)


def deallocate(env):
    """Dataset Management: number of ranges, each range checked, attributes."""
    def dsm(q, ranges_, *, count=None, attributes=4, **kw):
        data = b"".join(struct.pack("<IIQ", 0, n, slba) for slba, n in ranges_)
        return q.run(nvme.DSM, nsid=1, out=data, cdw10=(len(ranges_) if count is None else count) - 1 & 0xFF, cdw11=attributes, **kw)

    with env.controller() as c:
        q = c.io_queue()
        end = namespace_size(c)
        for name, what in (("one", [(0, 8)]), ("none long", [(0, 0)]), ("256", [(i * 16, 8) for i in range(256)]),
                           ("256 times the whole", [(0, end)] * 256), ("the last block", [(end - 1, 1)]),
                           ("overlapping", [(0, 100), (50, 100), (0, 1)])):
            for inline in (True, False):
                with env.row("%s, inline %s", name, inline):
                    status(dsm(q, what, inline=inline), 0)
        for name, what in (("at the end", [(end, 1)]), ("over the end", [(end - 1, 2)]), ("wraps", [(TOP, 2)]), ("far", [(1 << 60, 8)]),
                           ("shift wraps", [(1 << 55, 8)]), ("longest", [(0, 0xFFFFFFFF)]), ("last of 256", [(0, 1)] * 255 + [(end, 1)])):
            with env.row(name):
                status(dsm(q, what), {nvme.LBA_RANGE})
        for attributes in (0, 1, 2, 3, 8, 0xFFFFFFF8, 0xFFFFFFFF):
            with env.row("attributes %x", attributes):
                status(dsm(q, [(0, 8)], attributes=attributes), {0, nvme.INVALID_FIELD, 0x180})
        for count, length in ((1, 0), (1, 8), (2, 16), (256, 16), (1, 12), (256, 4095), (2, 31)):
            with env.row("%d ranges in %d bytes", count, length):
                cmd = q.run(nvme.DSM, nsid=1, out=bytes(length), inline=True, cdw10=count - 1, cdw11=4)
                status(cmd, {nvme.SGL_LENGTH})
        for count, length in ((1, 32), (1, 4096)):
            with env.row("%d range in %d bytes", count, length):
                status(q.run(nvme.DSM, nsid=1, out=bytes(length), inline=True, cdw10=count - 1, cdw11=4), {0, nvme.SGL_LENGTH})
        with env.row("reserved bits of NR"):
            status(dsm(q, [(0, 8)]), 0)
            status(q.run(nvme.DSM, nsid=1, out=struct.pack("<IIQ", 0, 8, 0), cdw10=0xFFFFFF00, cdw11=4), {0, nvme.INVALID_FIELD})


def zeroes(env):
    """Write Zeroes: blocks read as zeroes, neighbours stay; the whole device."""
    with env.controller() as c:
        q = c.io_queue()
        end = namespace_size(c)
        for control in (0, 0x02000000, 0x40000000):
            with env.row("cdw12 %x", control):
                status(q.run(nvme.WRITE, nsid=1, out=b"\xa5" * 16384, **nvme.rw(0, 32)), 0)
                status(q.run(nvme.WRITE_ZEROES, nsid=1, cdw10=3, cdw12=control | 9), 0)
                got = q.run(nvme.READ, nsid=1, read=16384, **nvme.rw(0, 32)).data
                need(got == b"\xa5" * 1536 + bytes(5120) + b"\xa5" * 9728, "wrong blocks were cleared")
        slba = 0
        while slba < end:
            n = min(65536, end - slba)
            status(q.run(nvme.WRITE_ZEROES, nsid=1, **nvme.rw(slba, n)), 0)
            slba += n
        need(not any(q.run(nvme.READ, nsid=1, read=16384, **nvme.rw(0, 32)).data), "not zero")


def control_bits(env):
    """PRINFO, FUA, LR, DTYPE, DSM hints, tags: no protection information here, the rest does no harm."""
    with env.controller() as c:
        q = c.io_queue()
        for bit in range(16, 32):
            for opcode, kw in ((nvme.READ, {"read": 512}), (nvme.WRITE, {"out": bytes(512), "inline": True}), (nvme.WRITE_ZEROES, {})):
                with env.row("opcode %d cdw12 bit %d", opcode, bit):
                    legal = {0} if bit in (30, 31) else {0, nvme.INVALID_FIELD, 0x181}
                    status(q.run(opcode, nsid=1, cdw12=1 << bit, **kw), legal)
        for field in ("cdw2", "cdw3", "mptr", "cdw13", "cdw14", "cdw15"):
            with env.row(field):
                status(q.run(nvme.READ, nsid=1, read=512, **{field: 0xFFFFFFFF}), {0, nvme.INVALID_FIELD})
        status(q.run(nvme.FLUSH, nsid=1, cdw10=0xFFFFFFFF, cdw12=0xFFFFFFFF), 0)


def errors_from_below(env):
    """A backend that fails: each command gets the status, the queue goes on."""
    options = env.get("NVTGT_NULL_OPTIONS")
    need(options, "NVTGT_NULL_OPTIONS is set")
    with open(options, encoding="ascii") as f:
        before = f.read().strip()
    with env.controller() as c:
        q = c.io_queue()
        for text, want in ((",error=281", 0x281), (",error=6", 0x006), (",error=286", 0x286)):
            with env.row(text):
                cases.write_attr(options, before + text)
                try:
                    status(q.run(nvme.READ, nsid=2, read=4096, **nvme.rw(0, 1)), want)
                    status(q.run(nvme.WRITE, nsid=2, out=bytes(4096), inline=True, **nvme.rw(0, 1)), want)
                    status(q.run(nvme.WRITE, nsid=2, out=bytes(32768), **nvme.rw(0, 8)), want)
                finally:
                    cases.write_attr(options, before)
                status(q.run(nvme.READ, nsid=2, read=4096, **nvme.rw(0, 1)), 0)


def random_fields(env):
    """Commands of random fields, many at once: each gets its completion."""
    with env.controller() as c:
        q = c.io_queue(sqsize=31)
        r = env.random
        for _ in range(60):
            made = []
            for _ in range(16):
                length = r.choice((0, 16, 512, 4096, 8192, 16384))
                kw = {"nsid": r.choice((0, 1, 1, 1, 2, 3, 0xFFFFFFFF)), "flags": r.choice((0x40, 0x40, 0x40, r.randrange(256))),
                      "cdw10": r.choice((0, r.getrandbits(32))), "cdw11": r.choice((0, 0, 4, r.getrandbits(32))),
                      "cdw12": r.choice((0, 7, 15, 31, r.getrandbits(32))), "cdw13": r.getrandbits(32)}
                opcode = r.choice((0, 1, 2, 8, 9, r.randrange(256)))
                kind = r.randrange(2)
                if opcode == nvme.OP_FABRICS:
                    continue
                if kind == 0:
                    kw.update(out=bytes(min(length, 4096)), inline=True)
                else:
                    # the opcode says which way
                    kw.update(out=bytes(length), read=length)
                made.append(q.submit(opcode, held=True, **kw))
            q.send(b"".join(raw for _, raw in made))
            q.wait(*[cmd for cmd, _ in made])
        env.rows += 60 * 16


if __name__ == "__main__":
    sys.exit(cases.main([
        ranges, block_counts, sgl_lengths, no_sgl, sgl_kinds, flags, opcodes, namespaces, deallocate, zeroes, control_bits,
        errors_from_below, random_fields]))
