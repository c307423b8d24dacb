#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The discovery controller: its log in whole, in pieces and beyond, and what it refuses."""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme  # noqa: E402
from nvmetcp.cases import need, same, status  # noqa: E402

LID = 0x70
TOP = (1 << 64) - 1


def whole_log(c):
    """(genctr, entries, bytes) in one read."""
    head = c.log_data(LID, 1024, nsid=0)
    count = struct.unpack_from("<Q", head, 8)[0]
    log = c.log_data(LID, 1024 * (count + 1), nsid=0)
    genctr, numrec, recfmt = struct.unpack_from("<QQH", log)
    same(numrec, count, "NUMREC")
    same(recfmt, 0, "RECFMT")
    return genctr, [log[1024 * i:1024 * (i + 1)] for i in range(1, count + 1)], log


def names(entries):
    return {e[256:512].rstrip(b"\0").decode() for e in entries}


def content(env):
    """Each host sees what it may see, with addresses that are complete."""
    closed, friend = env.get("NVTGT_CLOSED_NQN"), env.get("NVTGT_FRIEND")
    with env.controller(nvme.DISCOVERY_NQN) as c:
        _, entries, log = whole_log(c)
        need(env.nqn in names(entries), "%s is not listed: %s", env.nqn, names(entries))
        need(closed not in names(entries), "%s is shown to a stranger", closed)
        same(log[18:1024], bytes(1006), "reserved bytes of the header")
        for e in entries:
            with env.row("%r", e[256:512].rstrip(b"\0")):
                same(e[0], 3, "TRTYPE")
                same(e[1], 2 if ":" in env.address else 1, "ADRFAM")
                need(e[2] in (1, 2, 3), "SUBTYPE %d", e[2])
                same(struct.unpack_from("<H", e, 6)[0], 0xFFFF, "CNTLID")
                need(struct.unpack_from("<H", e, 8)[0] >= 31, "ASQSZ")
                same(e[32:64].rstrip(b"\0 ").decode(), str(env.port), "TRSVCID")
                same(e[512:768].rstrip(b"\0 ").decode(), env.address, "TRADDR")
                same(e[12:32], bytes(20), "reserved")
    with env.row("friend"), env.controller(nvme.DISCOVERY_NQN, ctrl.Host(friend)) as c:
        need(closed in names(whole_log(c)[1]), "%s is hidden from its host", closed)


def pieces(env):
    """Any dword-aligned offset and length gives that part of the log."""
    with env.controller(nvme.DISCOVERY_NQN) as c:
        _, _, log = whole_log(c)
        size = len(log)
        for piece in (4, 16, 100, 1000, 1020, 1024, 1028, 2048, 4096):
            if piece < 100:
                starts = list(range(0, 48, piece)) + [size - piece]
            else:
                starts = range(0, size, piece)
            for at in starts:
                n = min(piece, size - at)
                with env.row("%d bytes at %d", n, at):
                    need(c.log_data(LID, n, lpo=at, nsid=0) == log[at:at + n], "differs")
        with env.row("more than there is"):
            got = c.log_data(LID, size + 4096, nsid=0)
            need(got[:size] == log, "differs")
            need(not any(got[size:]), "bytes behind the log's end")


def offsets(env):
    """Offsets at and beyond the end, unaligned ones, and those whose sum wraps."""
    with env.controller(nvme.DISCOVERY_NQN) as c:
        size = len(whole_log(c)[2])
        for lpo in (size, size + 4, size + 1024, 1 << 31, (1 << 32) - 4, 1 << 32, 1 << 63, (1 << 63) + 1024, TOP - 3, TOP - 1023):
            for length in (4, 1024, 4096):
                with env.row("offset %x, %d bytes", lpo, length):
                    cmd = c.log(LID, length, lpo=lpo, nsid=0)
                    status(cmd, {nvme.INVALID_FIELD} if lpo > size else {0, nvme.INVALID_FIELD})
                    need(not any(cmd.data), "bytes from beyond the log")
        for lpo in (1, 2, 3, 1025, size - 1, TOP):
            with env.row("unaligned offset %x", lpo):
                status(c.log(LID, 512, lpo=lpo, nsid=0), nvme.INVALID_FIELD)
        for numd in (0x3FFFFFFF, 0x40000000, 0xFFFFFFFF):
            with env.row("NUMD %x", numd):
                status(c.log(LID, 1024, numd=numd, nsid=0), {nvme.INVALID_FIELD, nvme.SGL_LENGTH})


def generation(env):
    """GENCTR grows with every change that a host can see."""
    port = env.get("NVTGT_PORT_DIR")
    extra = env.get("NVTGT_OTHER_NQN")
    need(port and extra, "NVTGT_PORT_DIR and NVTGT_OTHER_NQN are set")
    link = os.path.join(port, "subsystems", extra)
    with env.controller(nvme.DISCOVERY_NQN) as c:
        before, entries, _ = whole_log(c)
        need(extra in names(entries), "%s is not listed", extra)
        os.unlink(link)
        try:
            after, entries, _ = whole_log(c)
            need(after > before, "GENCTR %d after %d", after, before)
            need(extra not in names(entries), "%s is still listed", extra)
        finally:
            os.symlink(os.path.join(env.root, "subsystems", extra), link)
        again, entries, _ = whole_log(c)
        need(again > after, "GENCTR %d after %d", again, after)
        need(extra in names(entries), "%s is not listed again", extra)


def changes_while_reading(env):
    """The log read in pieces while links come and go: never torn within a read, never more than is there."""
    port, extra = env.get("NVTGT_PORT_DIR"), env.get("NVTGT_OTHER_NQN")
    link = os.path.join(port, "subsystems", extra)
    with env.controller(nvme.DISCOVERY_NQN) as c:
        last = 0
        for i in range(20):
            if i & 1:
                os.symlink(os.path.join(env.root, "subsystems", extra), link)
            else:
                os.unlink(link)
            made = [c.admin.submit(nvme.A_LOG, read=8192, cdw10=LID | 2047 << 16) for _ in range(8)]
            c.admin.wait(*made)
            for cmd in made:
                status(cmd, 0)
                genctr, numrec = struct.unpack_from("<QQ", cmd.data)
                need(genctr >= last, "GENCTR went back")
                last = genctr
                here = cmd.data[1024:1024 * (numrec + 1)]
                same(sum(here[at] == 3 for at in range(0, len(here), 1024)), numrec, "records")


def change_event(env):
    """Discovery log change: an event for who asked for it."""
    port, extra = env.get("NVTGT_PORT_DIR"), env.get("NVTGT_OTHER_NQN")
    link = os.path.join(port, "subsystems", extra)
    with env.controller(nvme.DISCOVERY_NQN, kato=120000) as c:
        status(c.set_feature(0x0B, 1 << 31), 0)
        event = c.admin.submit(nvme.A_AER)
        os.unlink(link)
        try:
            c.admin.wait(event)
            same((event.status, event.cqe.dw0 & 0xFFFFFF), (0, 0x70F002), "event")
            whole_log(c)
        finally:
            os.symlink(os.path.join(env.root, "subsystems", extra), link)


def refusals(env):
    """What a discovery controller does not do."""
    with env.controller(nvme.DISCOVERY_NQN) as c:
        d = c.identify_data(1)
        same(d[111], 2, "CNTRLTYPE")
        for opcode in range(256):
            if opcode in (nvme.A_LOG, nvme.A_IDENTIFY, nvme.A_AER, nvme.A_KEEP_ALIVE, nvme.A_SET_FEATURES, nvme.A_GET_FEATURES,
                          nvme.A_ABORT, nvme.OP_FABRICS):
                continue
            with env.row("opcode %02x", opcode):
                status(c.admin.run(opcode), {nvme.INVALID_OPCODE})
        for lid in range(256):
            if lid != LID:
                with env.row("LID %02x", lid):
                    cmd = c.log(lid, 512, nsid=0)
                    status(cmd, {nvme.INVALID_LOG_PAGE, nvme.INVALID_FIELD} | ({0} if lid in (0, 1, 2, 3, 5, 0x12) else set()))
        for cns in range(256):
            with env.row("CNS %02x", cns):
                status(c.identify(cns), {0} if cns == 1 else {0, nvme.INVALID_FIELD, nvme.INVALID_NS})
        for fid in range(256):
            with env.row("FID %02x", fid):
                status(c.get_feature(fid), {0, nvme.INVALID_FIELD, nvme.SGL_LENGTH, nvme.INVALID_NS, nvme.INVALID_OPCODE})
        with env.row("I/O queue"), env.peer() as p:
            status(ctrl.connect(p, c.host, nvme.DISCOVERY_NQN, qid=1, cntlid=c.cntlid), {nvme.CONN_PARAMS, nvme.SEQUENCE})


def digests_and_alignment(env):
    """The log with both digests and every alignment."""
    for hpda in (0, 3, 31):
        with env.row("hpda %d", hpda), env.controller(nvme.DISCOVERY_NQN, hdgst=True, ddgst=True, hpda=hpda) as c:
            whole_log(c)


if __name__ == "__main__":
    sys.exit(cases.main([
        content, pieces, offsets, generation, changes_while_reading, change_event, refusals, digests_and_alignment]))
