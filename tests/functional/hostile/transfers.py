#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Legal ways to move data: what comes back is what went out."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme, pdu  # noqa: E402
from nvmetcp.cases import need, same, status  # noqa: E402

DIGESTS = ({}, {"hdgst": True}, {"ddgst": True}, {"hdgst": True, "ddgst": True})
BLOCK = 512


def write(q, slba, data, **kw):
    return status(q.run(nvme.WRITE, nsid=1, out=data, **kw, **nvme.rw(slba, len(data) // BLOCK)), 0)


def read(q, slba, count):
    cmd = status(q.run(nvme.READ, nsid=1, read=count, **nvme.rw(slba, count // BLOCK)), 0)
    same(cmd.got, count, "bytes read")
    return cmd.data


def round_trip(q, slba, data, **kw):
    write(q, slba, data, **kw)
    need(read(q, slba, len(data)) == data, "data differs after %d bytes at %d", len(data), slba)


def sizes(env):
    """One block to MDTS, on all four digest settings."""
    for digests in DIGESTS:
        with env.controller(**digests) as c:
            q = c.io_queue()
            for count in (512, 1024, 3584, 4096, 4608, 8192, 12800, 65536, 131072, 131584):
                if digests and count > 65536:
                    continue
                with env.row("%d bytes, %r", count, digests):
                    round_trip(q, 3, ctrl.pattern(count))


def largest(env):
    """MDTS itself, and one block more."""
    with env.controller() as c:
        mdts = c.identify_data(1)[77]
        need(mdts, "MDTS is not reported")
        count = 4096 << mdts
        q = c.io_queue()
        round_trip(q, 0, ctrl.pattern(count))
        cmd = q.run(nvme.WRITE, nsid=1, out=bytes(count + 512), auto=False, **nvme.rw(0, count // BLOCK + 1))
        status(cmd, nvme.INVALID_FIELD)
        cmd = q.run(nvme.READ, nsid=1, read=count + 512, **nvme.rw(0, count // BLOCK + 1))
        status(cmd, nvme.INVALID_FIELD)


def in_capsule(env):
    """Every size from one block to what IOCCSZ allows, in the capsule."""
    for digests in DIGESTS:
        with env.controller(**digests) as c:
            most = c.capsule_data()
            need(most >= 4096, "in-capsule data of %d", most)
            q = c.io_queue()
            step = BLOCK if not digests else 2048
            for count in sorted(set(list(range(BLOCK, most + 1, step)) + [most])):
                with env.row("%d bytes, %r", count, digests):
                    round_trip(q, 1, ctrl.pattern(count), inline=True)


def header_padding(env):
    """C2HData with every alignment that HPDA can ask for (checked in the library)."""
    for hpda in (0, 1, 2, 3, 7, 15, 30, 31):
        for digests in (DIGESTS[0], DIGESTS[3]):
            with env.row("hpda %d, %r", hpda, digests), env.controller(hpda=hpda, **digests) as c:
                q = c.io_queue()
                round_trip(q, 5, ctrl.pattern(9216))
                round_trip(q, 5, ctrl.pattern(512), inline=True)


def splits(env):
    """H2CData in every legal size."""
    with env.controller() as c:
        q = c.io_queue()
        for count, split in ((16384, [4]), (32768, [512]), (32768, [4, 8, 12, 516]), (65536, [1024, 4]), (262144, [4096]),
                             (262144, [131072]), (262144, [q.maxh2c]), (262144, [q.maxh2c - 4]), (262144, [65536, 4, 100])):
            with env.row("%d bytes in %r", count, split):
                round_trip(q, 9, ctrl.pattern(count), split=split)


def interleaved(env):
    """Several writes and reads at once, their H2CData in turn, PDU by PDU."""
    for maxr2t in (0, 3):
        with env.row("maxr2t %d", maxr2t), env.controller(maxr2t=maxr2t) as c:
            q = c.io_queue()
            datas = [ctrl.pattern(65536) for _ in range(6)]
            cmds = [q.submit(nvme.WRITE, nsid=1, out=d, auto=False, **nvme.rw(i * 128, 128)) for i, d in enumerate(datas)]
            left = list(cmds)
            sent = {cmd.cid: 0 for cmd in cmds}
            while left:
                for cmd in list(left):
                    if cmd.done:
                        left.remove(cmd)
                        continue
                    ready = [r for r in cmd.open_r2t.values() if r.offset <= sent[cmd.cid] < r.offset + r.length]
                    if not ready:
                        continue
                    r = ready[0]
                    at = sent[cmd.cid]
                    count = min(3584, r.offset + r.length - at)
                    last = at + count == r.offset + r.length
                    if last:
                        del cmd.open_r2t[r.offset]
                    q.send(q.h2c(cmd.cid, r.ttag, at, cmd.out[at:at + count], last=last))
                    sent[cmd.cid] = at + count
                if not any(r.offset <= sent[c2.cid] < r.offset + r.length for c2 in left for r in c2.open_r2t.values()) and left:
                    if not all(c2.done for c2 in left):
                        q.pump()
            q.wait(*cmds)
            for i, data in enumerate(datas):
                status(cmds[i], 0)
                need(read(q, i * 128, 65536) == data, "data of command %d differs", i)


def r2ts_within_limit(env):
    """R2Ts outstanding never exceed MAXR2T (checked in the library), and cover the transfer once."""
    for maxr2t in (0, 1, 3, 15, 0xFFFF):
        with env.row("maxr2t %d", maxr2t), env.controller(maxr2t=maxr2t) as c:
            q = c.io_queue()
            data = ctrl.pattern(1 << 20)
            cmd = q.submit(nvme.WRITE, nsid=1, out=data, auto=False, **nvme.rw(0, 2048))
            while not cmd.done:
                # hold R2Ts back until the target has nothing more to say, so that they pile up
                while q.readable(0.2) and not cmd.done:
                    q.pump()
                if cmd.done:
                    break
                if not cmd.open_r2t:
                    q.pump()
                    continue
                q.answer(cmd, cmd.open_r2t[min(cmd.open_r2t)])
            status(cmd, 0)
            need(read(q, 0, 1 << 20) == data, "data differs")


def full_queue(env):
    """As many commands as the queue holds, at once, in few segments."""
    for size in (2, 32, 128):
        for digests in (DIGESTS[0], DIGESTS[3]):
            if size == 128 and digests:
                continue
            with env.row("%d entries, %r", size, digests), env.controller(**digests) as c:
                q = c.io_queue(sqsize=size - 1)
                depth = size - 1
                for opcode in ("write", "read", "both"):
                    made = []
                    for i in range(depth):
                        if opcode == "write" or opcode == "both" and i & 1:
                            made.append(q.submit(nvme.WRITE, nsid=1, out=ctrl.pattern(4096, i), inline=i % 3 != 0, held=True,
                                                 **nvme.rw(i * 8, 8)))
                        else:
                            made.append(q.submit(nvme.READ, nsid=1, read=4096, held=True, **nvme.rw(i * 8, 8)))
                    q.send(b"".join(raw for _, raw in made))
                    q.wait(*[cmd for cmd, _ in made])
                    for i, (cmd, _) in enumerate(made):
                        status(cmd, 0)
                        if opcode == "read":
                            need(cmd.data == ctrl.pattern(4096, i), "data of command %d differs", i)


def submission_head(env):
    """SQHD moves by one for each command that was taken, and wraps at the queue's size."""
    with env.controller() as c:
        q = c.io_queue(sqsize=7)
        for i in range(20):
            cmd = q.run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1))
            # Connect took the first entry
            same(cmd.cqe.sqhd, (i + 2) % 8, "SQHD")


def without_flow_control(env):
    """SQ flow control off: reads may end by the SUCCESS flag, other commands by a completion."""
    for digests in DIGESTS:
        with env.row("%r", digests), env.controller(**digests) as c:
            q = c.io_queue(cattr=4)
            need(not q.flow_control, "flow control could not be switched off")
            for count in (512, 4096, 65536):
                round_trip(q, 7, ctrl.pattern(count))
            many = [q.submit(nvme.READ, nsid=1, read=4096, **nvme.rw(i, 8)) for i in range(31)]
            q.wait(*many)
            need(all(cmd.by_flag for cmd in many), "reads end by a completion where the SUCCESS flag would do")
            status(q.run(nvme.READ, nsid=1, read=512, **nvme.rw(1 << 40, 1)), nvme.LBA_RANGE)
            status(q.run(nvme.FLUSH, nsid=1), 0)
    with env.row("admin queue"), env.controller(cattr=4) as c:
        c.identify_data(1)


def same_cid_again(env):
    """A command identifier is free again as soon as its command has ended."""
    with env.controller() as c:
        q = c.io_queue()
        for i in range(50):
            data = ctrl.pattern(8192 if i & 1 else 20480)
            status(q.run(nvme.WRITE, nsid=1, out=data, cid=7, **nvme.rw(0, len(data) // 512)), 0)
            cmd = status(q.run(nvme.READ, nsid=1, read=len(data), cid=7, **nvme.rw(0, len(data) // 512)), 0)
            need(cmd.data == data, "data differs in round %d", i)
        for cid in (0, 1, 0x7FFF, 0x8000, 0xFFFE):
            status(q.run(nvme.READ, nsid=1, read=512, cid=cid, **nvme.rw(0, 1)), 0)


def same_cid_twice(env):
    """The same identifier on two commands at once: Command ID Conflict, or both are done; no harm."""
    with env.controller() as c:
        q = c.io_queue()
        with_one = [q.submit(nvme.READ, nsid=1, read=512, cid=5, held=True, **nvme.rw(0, 1))[1] for _ in range(8)]
        q.pending.pop(5)
        q.send(b"".join(with_one))
        ended = 0
        while ended < 8:
            p = q.recv()
            if p.type == pdu.RSP:
                status(type("C", (), {"status": nvme.Completion(p.raw[8:24]).status}), {0, nvme.CID_CONFLICT})
                ended += 1
            else:
                same(p.type, pdu.C2H_DATA, "type")


def more_than_queue_size(env):
    """More commands in flight than the queue has entries: answered or ended, never more memory."""
    options = env.get("NVTGT_NULL_OPTIONS")
    need(options, "NVTGT_NULL_OPTIONS is set")
    with open(options, encoding="ascii") as f:
        before = f.read().strip()
    with env.controller() as c:
        q = c.io_queue(sqsize=7)
        cases.write_attr(options, before + ",stall=1")
        try:
            made = [q.submit(nvme.READ, nsid=2, read=4096, held=True, **nvme.rw(i, 1)) for i in range(200)]
            q.send(b"".join(raw for _, raw in made))
        finally:
            # what does not fit must not wait for the backend
            q.quiet(0.5)
            cases.write_attr(options, before + ",stall=0")
        ended = 0
        try:
            while ended < 200:
                p = q.pump()
                ended += p.type == pdu.RSP
        except (cases.Terminated, cases.Closed):
            pass


def four_kib_blocks(env):
    """Namespace 2 has 4 KiB blocks."""
    with env.controller() as c:
        q = c.io_queue()
        for blocks in (1, 2, 3, 16, 32):
            with env.row("%d blocks", blocks):
                count = blocks * 4096
                status(q.run(nvme.WRITE, nsid=2, out=ctrl.pattern(count, 1), **nvme.rw(11, blocks)), 0)
                cmd = status(q.run(nvme.READ, nsid=2, read=count, **nvme.rw(11, blocks)), 0)
                same(cmd.got, count, "bytes read")
                need(cmd.data == bytes(count), "the null namespace reads something else than zeroes")
        status(q.run(nvme.READ, nsid=2, read=512, **nvme.rw(0, 1)), nvme.SGL_LENGTH)


def queues_of_many_kinds(env):
    """Queues of one controller differ in digests, alignment and MAXR2T."""
    with env.controller() as c:
        queues = [c.io_queue(qid, hdgst=bool(qid & 1), ddgst=bool(qid & 2), hpda=qid * 3, maxr2t=qid) for qid in range(1, 5)]
        data = ctrl.pattern(32768)
        write(queues[0], 0, data)
        for q in queues:
            need(read(q, 0, 32768) == data, "queue %d reads something else", q.qid)
            round_trip(q, 1000 * q.qid, ctrl.pattern(24576))


def split_sends(env):
    """Capsules and data in pieces that end anywhere."""
    for chop in (1, 7, 73, 1000):
        with env.row("pieces of %d", chop), env.controller(hdgst=True, ddgst=True, maxr2t=1) as c:
            q = c.io_queue()
            q.chop = chop
            round_trip(q, 2, ctrl.pattern(1024), inline=True)
            round_trip(q, 2, ctrl.pattern(2048 if chop == 1 else 20480), split=[512, 4])


if __name__ == "__main__":
    sys.exit(cases.main([
        sizes, largest, in_capsule, header_padding, splits, interleaved, r2ts_within_limit, full_queue, submission_head,
        without_flow_control, same_cid_again, same_cid_twice, more_than_queue_size, four_kib_blocks,
        queues_of_many_kinds, split_sends]))
