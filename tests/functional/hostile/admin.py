#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Admin commands: every opcode, every CNS, every log page, every feature; AER and Abort."""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme  # noqa: E402
from nvmetcp.cases import need, same, status, write_attr  # noqa: E402
from nvmetcp.peer import Silence  # noqa: E402

NSIDS = (0, 1, 2, 3, 4, 0xFFFFFFFE, 0xFFFFFFFF)
WINDOW = 24


def pipelined(peer, rows):
    """Run (key, opcode, arguments), some at a time; yields (key, command)."""
    rows = iter(rows)
    inflight = []
    while True:
        while len(inflight) < WINDOW:
            row = next(rows, None)
            if row is None:
                break
            inflight.append((row[0], peer.submit(row[1], **row[2])))
        if not inflight:
            return
        key, cmd = inflight.pop(0)
        peer.wait(cmd)
        yield key, cmd


def clean(cmd, text):
    """A refused command says nothing in dw0, dw1 and sends no data."""
    if cmd.status:
        need(not cmd.cqe.dw0 and not cmd.cqe.dw1, "%s: dw0 %#x dw1 %#x", text, cmd.cqe.dw0, cmd.cqe.dw1)
        need(not cmd.got, "%s: refused, and %d bytes came", text, cmd.got)


def identify_all(env):
    """CNS x CSI x NSID: 4096 bytes or a status that fits; nothing of the target's memory."""
    refused = {nvme.INVALID_FIELD, nvme.INVALID_NS, 0x12C, 0x02C}
    with env.controller() as c:
        rows = (((cns, csi, nsid), nvme.A_IDENTIFY, {"nsid": nsid, "cdw10": cns, "cdw11": csi << 24, "read": 4096})
                for cns in range(256) for csi in ((0, 1, 2, 0xFF) if cns < 0x20 else (0,)) for nsid in NSIDS)
        for key, cmd in pipelined(c.admin, rows):
            with env.row("CNS %02x CSI %x NSID %x", *key):
                status(cmd, refused | {0})
                clean(cmd, "Identify")
                if cmd.status == 0:
                    same(cmd.got, 4096, "bytes")
                if key[0] > 0x1F:
                    status(cmd, nvme.INVALID_FIELD)
        with env.row("must be there"):
            for cns, nsid in ((0, 1), (0, 2), (1, 0), (2, 0), (3, 1), (3, 2), (2, 1)):
                c.identify_data(cns, nsid)
        with env.row("active list"):
            ids = struct.unpack("<1024I", c.identify_data(2, 0))
            same(ids[:3], (1, 2, 0), "active namespaces")
            same(struct.unpack("<1024I", c.identify_data(2, 1))[:2], (2, 0), "active namespaces above 1")
        for nsid in (0xFFFFFFFE, 0xFFFFFFFF):
            with env.row("active list from %x", nsid):
                status(c.identify(2, nsid), {nvme.INVALID_NS})
        with env.row("inactive namespace"):
            cmd = c.identify(0, 3)
            status(cmd, {0, nvme.INVALID_NS, nvme.INVALID_FIELD})
            need(not any(cmd.data), "data of an inactive namespace")
        for nsid in (0, 3, 4, 0xFFFFFFFE):
            with env.row("descriptors of NSID %x", nsid):
                status(c.identify(3, nsid), {nvme.INVALID_NS, nvme.INVALID_FIELD})


def identify_lengths(env):
    """Identify moves 4096 bytes; an SGL of another length is refused, or only 4096 come."""
    with env.controller() as c:
        for length in (0, 1, 4, 512, 4092, 4095):
            with env.row("%d bytes", length):
                status(c.identify(1, length=length), {nvme.SGL_LENGTH})
        for length in (4097, 8192, 1 << 20):
            with env.row("%d bytes", length):
                cmd = c.identify(1, length=length)
                status(cmd, {0, nvme.SGL_LENGTH})
                need(cmd.got in (0, 4096), "%d bytes came", cmd.got)
        with env.row("4 GiB"):
            status(c.admin.run(nvme.A_IDENTIFY, cdw10=1, dptr=nvme.sgl_host(0xFFFFFFFF), read=4096), {0, nvme.SGL_LENGTH})


def identify_content(env):
    """What a host relies on."""
    with env.controller() as c:
        d = c.identify_data(1)
        same(d[111], 1, "CNTRLTYPE")
        same(struct.unpack_from("<H", d, 78)[0], c.cntlid, "CNTLID")
        same(d[768:1024].rstrip(b"\0").decode(), env.nqn, "SUBNQN")
        need(d[259] < 0xFF and d[258] < 0xFF, "AERL %d, ACL %d", d[259], d[258])
        need(struct.unpack_from("<I", d, 1792)[0] >= 4, "IOCCSZ")
        need(struct.unpack_from("<I", d, 1796)[0] >= 1, "IORCSZ")
        same(struct.unpack_from("<H", d, 1800)[0], 0, "ICDOFF")
        need(struct.unpack_from("<I", d, 536)[0] & 3, "SGLS")
        for at, count in ((4, 20), (24, 40), (64, 8)):
            need(all(0x20 <= b < 0x7F for b in d[at:at + count]), "ASCII field at %d: %r", at, d[at:at + count])
        need(d[261] & 4, "LPA: log page offsets are honoured and must be announced")
        same((d[512], d[513]), (0x66, 0x44), "SQES, CQES")


def log_pages_all(env):
    """LID x LPO x NUMD: data of the length asked for, or a status; each offset is honoured."""
    sizes = {1: None, 2: 512, 3: 512, 4: 4096, 5: 4096}
    legal = {0, nvme.INVALID_FIELD, nvme.INVALID_LOG_PAGE, nvme.INVALID_NS}
    lpos = (0, 4, 64, 508, 512, 4092, 4096, 4100, 65536, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 4)
    with env.controller() as c:
        def rows():
            for lid in range(256):
                for lpo in lpos if lid < 0x80 and lid < 0x20 or lid == 0x70 else (0, 4096):
                    for length in (4, 512, 4096) if lid < 0x20 else (4,):
                        n = length // 4 - 1
                        yield ((lid, lpo, length), nvme.A_LOG,
                               {"nsid": 0xFFFFFFFF, "read": length, "cdw10": lid | 0x8000 | n << 16, "cdw11": n >> 16,
                                "cdw12": lpo & 0xFFFFFFFF, "cdw13": lpo >> 32})
        for (lid, lpo, length), cmd in pipelined(c.admin, rows()):
            with env.row("LID %02x LPO %x, %d bytes", lid, lpo, length):
                status(cmd, legal)
                clean(cmd, "Get Log Page")
                if not cmd.status:
                    same(cmd.got, length, "bytes")
                if lid in sizes and sizes[lid] and lpo > sizes[lid]:
                    status(cmd, nvme.INVALID_FIELD)
                if lid in sizes and lpo == 0:
                    status(cmd, 0)
                if lid == 0x70 or lid >= 0xC0:
                    status(cmd, {nvme.INVALID_LOG_PAGE, nvme.INVALID_FIELD})


def log_page_pieces(env):
    """A page read in pieces is the page."""
    with env.controller() as c:
        for lid, total in ((3, 512), (5, 4096)):
            whole = c.log_data(lid, total)
            for piece in (4, 12, 64, 100, 508):
                if total > 512 and piece < 64:
                    continue
                with env.row("LID %02x in pieces of %d", lid, piece):
                    got = b"".join(c.log_data(lid, min(piece, total - at), lpo=at) for at in range(0, total, piece))
                    need(got == whole, "differs from the page")
        for lpo in (1, 2, 3, 5, 4097, (1 << 64) - 1):
            with env.row("unaligned offset %x", lpo):
                status(c.log(2, 512, lpo=lpo), nvme.INVALID_FIELD)


def log_page_lengths(env):
    """NUMD against the SGL, up to the largest."""
    with env.controller() as c:
        mdts = 4096 << c.identify_data(1)[77]
        for numd in (0, 1, 127, 1023, 0xFFFF, 0x10000, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF):
            for lid in (1, 2, 4, 5):
                with env.row("LID %02x NUMD %x, SGL of 512", lid, numd):
                    cmd = c.log(lid, 512, numd=numd)
                    status(cmd, 0 if numd == 127 else {0, nvme.SGL_LENGTH, nvme.INVALID_FIELD} if numd < 127
                           else {nvme.SGL_LENGTH, nvme.INVALID_FIELD})
                with env.row("LID %02x NUMD %x, SGL the same in 32 bits", lid, numd):
                    length = (numd + 1) * 4
                    if length <= 65536:
                        status(c.log(lid, length, numd=numd), {0, nvme.INVALID_FIELD})
                        continue
                    cmd = c.admin.run(nvme.A_LOG, nsid=0xFFFFFFFF, cdw10=lid | (numd & 0xFFFF) << 16, cdw11=numd >> 16,
                                      dptr=nvme.sgl_host(length & 0xFFFFFFFF), read=min(length, mdts))
                    status(cmd, {0, nvme.SGL_LENGTH, nvme.INVALID_FIELD} if length <= mdts else {nvme.SGL_LENGTH, nvme.INVALID_FIELD})
        for length in (0, 1, 2, 3, 5, 511):
            with env.row("SGL of %d bytes, NUMD 127", length):
                status(c.log(2, length, numd=127), {nvme.SGL_LENGTH, nvme.INVALID_FIELD})


def features_all(env):
    """FID x SEL: a status that fits; what can be got with SEL 0 can be got with SEL 3."""
    legal = {0, nvme.INVALID_FIELD, nvme.INVALID_NS}
    with env.controller() as c:
        rows = (((fid, sel, nsid), nvme.A_GET_FEATURES, {"nsid": nsid, "cdw10": fid | sel << 8, "read": size})
                for fid in range(256) for sel in range(8) for nsid in ((0, 1, 3, 0xFFFFFFFF) if sel in (0, 3) else (0,))
                for size in ((16,) if fid == 0x81 else (0,)))
        for (fid, sel, nsid), cmd in pipelined(c.admin, rows):
            with env.row("get FID %02x SEL %d NSID %x", fid, sel, nsid):
                status(cmd, legal | {nvme.SGL_LENGTH})
                if cmd.status:
                    clean(cmd, "Get Features")
                if sel > 3:
                    status(cmd, {nvme.INVALID_FIELD})
                if fid in (0, 0x70, 0xBF, 0xC0, 0xFF):
                    status(cmd, {nvme.INVALID_FIELD})
        for fid in (7, 0x0B, 0x0F):
            with env.row("FID %02x", fid):
                status(c.get_feature(fid), 0)
                status(c.get_feature(fid, sel=3), {0, nvme.INVALID_FIELD})


def features_set_all(env):
    """Set Features of everything, saved or not; the controller stays itself."""
    legal = {0, nvme.INVALID_FIELD, nvme.INVALID_NS, nvme.SEQUENCE, 0x10D, 0x10E, 0x10F, 0x12B, nvme.SGL_LENGTH, nvme.INVALID_OPCODE}
    with env.controller() as c:
        rows = (((fid, value, save), nvme.A_SET_FEATURES, {"cdw10": fid | save << 31, "cdw11": value})
                for fid in range(256) if fid != 0x0F for value in (0, 1, 0xFFFFFFFF) for save in (0, 1))
        for (fid, value, save), cmd in pipelined(c.admin, rows):
            with env.row("set FID %02x to %x, SV %d", fid, value, save):
                status(cmd, legal)
                if fid in (0, 0x70, 0xBF, 0xC0, 0xFF):
                    status(cmd, {nvme.INVALID_FIELD, 0x10D, 0x10E})
                if cmd.status:
                    clean(cmd, "Set Features")
        c.identify_data(1)
        for nsq, ncq in ((0xFFFF, 0), (0, 0xFFFF), (0xFFFF, 0xFFFF)):
            with env.row("queues %x, %x", nsq, ncq):
                status(c.set_feature(7, nsq | ncq << 16), nvme.INVALID_FIELD)
        with env.row("queues"):
            cmd = status(c.set_feature(7, 0), 0)
            need(cmd.cqe.dw0 & 0xFFFF >= 0, "no queues")
    with env.row("number of queues when there are some"), env.controller() as c:
        c.io_queue()
        status(c.set_feature(7, 0x10001), {nvme.SEQUENCE, 0})


def opcodes_all(env):
    """Every opcode with no data, with data both ways: Invalid Opcode unless it is known; the queue lives."""
    known = {nvme.A_LOG, nvme.A_IDENTIFY, nvme.A_ABORT, nvme.A_SET_FEATURES, nvme.A_GET_FEATURES, nvme.A_AER,
             nvme.A_KEEP_ALIVE, nvme.OP_FABRICS}
    with env.controller() as c:
        for opcode in range(256):
            if opcode in known:
                continue
            for name, kw in (("no data", {"read": 0}), ("a read", {"read": 4096}), ("data in the capsule", {"out": bytes(512), "inline": True}),
                             ("data by R2T", {"out": bytes(4096)})):
                with env.row("opcode %02x, %s", opcode, name):
                    cmd = c.admin.run(opcode, nsid=1, **kw)
                    status(cmd, {nvme.INVALID_OPCODE} if opcode >= 0xC0 or opcode in (0, 1, 4, 5) else
                           {nvme.INVALID_OPCODE, nvme.INVALID_FIELD, nvme.SGL_LENGTH})
                    same(len(cmd.r2ts), 0, "R2Ts for a command that is not known")
                    clean(cmd, "opcode %02x" % opcode)
        for opcode in sorted(known - {nvme.OP_FABRICS, nvme.A_AER}):
            for name, kw in (("the wrong direction", {"out": bytes(512), "inline": True}), ("a huge SGL", {"dptr": nvme.sgl_host(0xFFFFFFFF)})):
                with env.row("opcode %02x, %s", opcode, name):
                    cmd = c.admin.run(opcode, cdw10=1, **kw)
                    status(cmd, {0, nvme.INVALID_FIELD, nvme.SGL_LENGTH, nvme.SGL_TYPE, nvme.INVALID_NS, 0x10D, 0x10E,
                                 nvme.SEQUENCE, nvme.INVALID_LOG_PAGE, 0x018} )
        for flags in (0x41, 0x42, 0x43, 0x00, 0x80, 0xC0, 0x44, 0x60):
            with env.row("flags %02x", flags):
                cmd = c.admin.run(nvme.A_IDENTIFY, cdw10=1, read=4096, flags=flags)
                status(cmd, {nvme.INVALID_FIELD, nvme.SGL_TYPE} if flags & 3 or flags in (0, 0xC0) else
                       {0, nvme.INVALID_FIELD, nvme.SGL_TYPE})


def reserved_dwords(env):
    """Dwords that a command does not use are not looked at."""
    with env.controller() as c:
        status(c.admin.run(nvme.A_KEEP_ALIVE, cdw2=0xFFFFFFFF, cdw3=0xFFFFFFFF, mptr=0xFFFFFFFFFFFFFFFF,
                           cdw10=0xFFFFFFFF, cdw15=0xFFFFFFFF), {0, nvme.INVALID_FIELD})
        status(c.admin.run(nvme.A_IDENTIFY, cdw10=1, cdw12=0xFFFFFFFF, cdw13=0xFFFFFFFF, cdw15=0xFFFFFFFF, read=4096),
               {0, nvme.INVALID_FIELD})


def event_limit(env):
    """AERL + 1 events may wait; one more is refused (Asynchronous Event Request Limit Exceeded)."""
    with env.controller(sqsize=63) as c:
        aerl = c.identify_data(1)[259]
        held = [c.admin.submit(nvme.A_AER) for _ in range(aerl + 1)]
        c.identify_data(1)
        need(not any(cmd.done for cmd in held), "an event without a cause")
        for _ in range(3):
            status(c.admin.run(nvme.A_AER), 0x105)
        need(not any(cmd.done for cmd in held), "an event without a cause")


def drain_events(c, cmd):
    """An event came: what it was."""
    c.admin.wait(cmd)
    status(cmd, 0)
    return cmd.cqe.dw0 & 7, cmd.cqe.dw0 >> 8 & 0xFF, cmd.cqe.dw0 >> 16 & 0xFF


def namespace_changed(env):
    """A namespace comes and goes: one event, the changed list names it, reading it arms the next."""
    third = env.get("NVTGT_NS3")
    need(third, "NVTGT_NS3 is the folder of a namespace that is not enabled")
    with env.controller() as c:
        status(c.set_feature(0x0B, 0x100), 0)
        event = c.admin.submit(nvme.A_AER)
        write_attr(third + "/enable", 1)
        try:
            same(drain_events(c, event), (2, 0, 4), "event")
            second = c.admin.submit(nvme.A_AER)
            write_attr(third + "/enable", 0)
            need(c.admin.quiet(0.5), "a second event before the first one's log page was read")
            # refused, and so nothing has been read
            status(c.log(4, 4096, lpo=4100), nvme.INVALID_FIELD)
            need(c.admin.quiet(0.5), "a second event after a refusal")
            page = c.log_data(4, 4096)
            same(struct.unpack_from("<2I", page), (3, 0), "changed namespaces")
            same(struct.unpack_from("<2I", c.log_data(4, 4096)), (0, 0), "changed namespaces, read again")
            write_attr(third + "/enable", 1)
            same(drain_events(c, second), (2, 0, 4), "event")
            same(struct.unpack_from("<2I", c.log_data(4, 4096, rae=True)), (3, 0), "changed namespaces with RAE")
            same(struct.unpack_from("<2I", c.log_data(4, 4096)), (3, 0), "changed namespaces after RAE")
        finally:
            write_attr(third + "/enable", 0)
    with env.row("events switched off"), env.controller() as c:
        status(c.set_feature(0x0B, 0), 0)
        c.admin.submit(nvme.A_AER)
        write_attr(third + "/enable", 1)
        write_attr(third + "/enable", 0)
        need(c.admin.quiet(0.5), "an event that was switched off")
    with env.row("no AER waits: the event is kept"), env.controller() as c:
        status(c.set_feature(0x0B, 0x100), 0)
        write_attr(third + "/enable", 1)
        write_attr(third + "/enable", 0)
        same(drain_events(c, c.admin.submit(nvme.A_AER)), (2, 0, 4), "event")


def abort_commands(env):
    """Abort of an AER, of a command that waits for data, of nothing."""
    with env.controller() as c:
        event = c.admin.submit(nvme.A_AER)
        cmd = status(c.admin.run(nvme.A_ABORT, cdw10=0 | event.cid << 16), 0)
        if not cmd.cqe.dw0 & 1:
            status(c.admin.wait(event), nvme.ABORTED)
        q = c.io_queue()
        held = q.submit(nvme.WRITE, nsid=1, out=bytes(32768), auto=False, **nvme.rw(0, 64))
        r2t = q.take_r2t(held)
        cmd = status(c.admin.run(nvme.A_ABORT, cdw10=1 | held.cid << 16), 0)
        with env.row("a write that waits for its data"):
            if cmd.cqe.dw0 & 1:
                while cmd.cqe.dw0 & 1 and held.open_r2t:
                    q.answer(held, held.open_r2t[min(held.open_r2t)])
            else:
                # the host still owes the data of its R2T; the target takes or ignores it, or has ended the command
                try:
                    q.wait(held, timeout=2)
                except Silence:
                    while held.open_r2t:
                        q.answer(held, held.open_r2t[min(held.open_r2t)])
            status(q.wait(held), {0, nvme.ABORTED})
        with env.row("data behind an abort"):
            if not cmd.cqe.dw0 & 1 and held.open_r2t:
                q.send(q.h2c(held.cid, r2t.ttag, 0, bytes(r2t.length)))
                try:
                    status(q.run(nvme.READ, nsid=1, read=512, timeout=10, **nvme.rw(0, 1)), 0)
                except (cases.Terminated, cases.Closed):
                    pass
    with env.controller() as c:
        for sqid, cid in ((0, 0x7777), (1, 1), (0xFFFF, 1), (0x7FFF, 0xFFFF), (2, 0)):
            with env.row("SQID %x CID %x", sqid, cid):
                cmd = c.admin.run(nvme.A_ABORT, cdw10=sqid | cid << 16)
                status(cmd, {0, nvme.INVALID_FIELD})
                if not cmd.status:
                    same(cmd.cqe.dw0 & 1, 1, "nothing was aborted")
        with env.row("an Abort aborts itself"):
            cid = c.admin.new_cid()
            status(c.admin.run(nvme.A_ABORT, cid=cid, cdw10=cid << 16), 0)
        with env.row("many at once"):
            many = [c.admin.submit(nvme.A_ABORT, cdw10=0x1234 << 16) for _ in range(30)]
            c.admin.wait(*many)
            for cmd in many:
                status(cmd, {0, 0x103})


def error_log(env):
    """Failed commands stand in the error log, newest first."""
    with env.controller() as c:
        q = c.io_queue()
        bad = status(q.run(nvme.READ, nsid=1, read=512, **nvme.rw(1 << 40, 1)), nvme.LBA_RANGE)
        page = c.log_data(1, 64)
        count, sqid, cid, field = struct.unpack_from("<QHHH", page)
        need(count, "no entry")
        same((sqid, cid, field >> 1 & 0x7FF), (1, bad.cid, nvme.LBA_RANGE), "SQID, CID, status of the entry")


if __name__ == "__main__":
    sys.exit(cases.main([
        identify_all, identify_lengths, identify_content, log_pages_all, log_page_pieces, log_page_lengths, features_all,
        features_set_all, opcodes_all, reserved_dwords, event_limit, namespace_changed, abort_commands, error_log]))
