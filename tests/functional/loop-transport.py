#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A host over the file of a loop port: what a read and a write of the file say is the transport."""

import collections
import errno
import os
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from nvmetcp import nvme  # noqa: E402
from nvmetcp.cases import need  # noqa: E402
from nvmetcp.ctrl import Host, enable, pattern  # noqa: E402

FILE = "/sys/kernel/debug/nvtgt-loop/1"
NQN = "testnqn"


class Answer(collections.namedtuple("Answer", "cqe data")):
    """A response: its completion queue entry and its data."""

    @property
    def status(self):
        return self.cqe.status


class Queue:
    """A connection, and the queue that it becomes with Connect."""

    def __init__(self):
        self.fd = os.open(FILE, os.O_RDWR)
        self.cid = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def send(self, opcode, *, out=b"", length=None, **fields):
        """Sends a capsule. Returns the command's identifier."""
        self.cid = (self.cid + 1) % 60000
        size = len(out) if length is None else length
        fields.setdefault("dptr", nvme.sgl_host(size))
        os.write(self.fd, nvme.sqe(opcode, self.cid, **fields) + out)
        return self.cid

    def take(self):
        """The next response, or None at the connection's end."""
        try:
            got = os.read(self.fd, 16 + (4 << 20))
        except OSError as e:
            # debugfs: the port, and with it the file, has gone before the call
            need(e.errno == errno.EIO, "read: %s", e)
            return None
        return Answer(nvme.Completion(got[:16]), got[16:]) if got else None

    def run(self, opcode, **args):
        cid = self.send(opcode, **args)
        answer = self.take()
        need(answer, "the connection has ended")
        need(answer.cqe.cid == cid, "cid %d instead of %d", answer.cqe.cid, cid)
        return answer

    def connect(self, host, qid=0, cntlid=0xFFFF, sqsize=31):
        return self.run(nvme.OP_FABRICS, nsid=nvme.FC_CONNECT, cdw10=qid << 16, cdw11=sqsize,
                        out=nvme.connect_data(host.hostid, cntlid, NQN, host.nqn)).cqe

    def rw(self, opcode, slba, data):
        out = data if opcode == nvme.WRITE else b""
        return self.send(opcode, nsid=1, out=out, length=len(data), **nvme.rw(slba, len(data) // 512))


def controller(host):
    """An admin queue, ready, and its controller's id."""
    admin = Queue()
    cqe = admin.connect(host)
    need(cqe.status == 0, "Connect: %r", cqe)
    enable(admin)
    return admin, cqe.dw0 & 0xFFFF


def io_queue(host, cntlid, qid=1, sqsize=31):
    queue = Queue()
    cqe = queue.connect(host, qid, cntlid, sqsize)
    need(cqe.status == 0, "Connect of queue %d: %r", qid, cqe)
    return queue


def works():
    """Identify, then writes and reads of all sizes, as many as the queue has entries at a time."""
    host = Host()
    admin, cntlid = controller(host)
    with admin, io_queue(host, cntlid) as io:
        cqe, data = admin.run(nvme.A_IDENTIFY, length=4096, cdw10=1)
        need(cqe.status == 0 and len(data) == 4096, "Identify: %r, %d bytes", cqe, len(data))
        need(struct.unpack_from("<I", data, 536)[0] >> 21 & 1 == 0, "SGLS says that there is a wire")
        sizes = [512, 4096, 8192, 65536, 131072, 1 << 20]
        want = [pattern(size) for size in sizes]
        for n, data in enumerate(want):
            io.rw(nvme.WRITE, n * 2048, data)
        for _ in want:
            cqe, data = io.take()
            need(cqe.status == 0 and not data, "write: %r, %d bytes", cqe, len(data))
        for turn in range(4):
            cids = {io.rw(nvme.READ, n * 2048, data): n for n, data in enumerate(want)}
            while cids:
                cqe, data = io.take()
                need(cqe.status == 0 and data == want[cids.pop(cqe.cid)], "turn %d: other data: %r", turn, cqe)


def wrong():
    """What a transport may bring that no host should send."""
    host = Host()
    admin, cntlid = controller(host)
    with admin, io_queue(host, cntlid) as io:
        for size in (0, 1, 63):
            try:
                os.write(io.fd, bytes(size))
            except OSError:
                continue
            need(size == 0, "%d bytes are taken for a capsule", size)
        cqe, _ = io.run(nvme.WRITE, nsid=1, out=bytes(512), length=4096, **nvme.rw(0, 8))
        need(cqe.status == nvme.SGL_LENGTH, "fewer data than the command says: %r", cqe)
        cqe, _ = io.run(nvme.READ, nsid=1, length=512, **nvme.rw(0, 8))
        need(cqe.status == nvme.SGL_LENGTH, "a shorter SGL: %r", cqe)
        cqe, _ = io.run(nvme.READ, nsid=7, length=4096, **nvme.rw(0, 8))
        need(cqe.status == nvme.INVALID_NS, "no such namespace: %r", cqe)
        cqe, _ = io.run(0x55)
        need(cqe.status == nvme.INVALID_OPCODE, "opcode 55h: %r", cqe)
    with Queue() as stray:
        cqe, _ = stray.run(nvme.A_IDENTIFY, length=4096, cdw10=1)
        need(cqe.status == nvme.SEQUENCE, "Identify before Connect: %r", cqe)


def sudden():
    """Hosts that go with commands under way, or with responses that they have not taken."""
    for turn in range(50):
        host = Host()
        admin, cntlid = controller(host)
        io = io_queue(host, cntlid, sqsize=63)
        data = pattern(65536)
        for n in range(40):
            io.rw(nvme.WRITE if n % 2 else nvme.READ, n * 128, data)
        for _ in range(turn % 5):
            io.take()
        for fd in (io.fd, admin.fd) if turn % 2 else (admin.fd, io.fd):
            os.close(fd)


def ends(remove):
    """The port goes: a process that waits for a response is told that there will be none."""
    host = Host()
    admin, cntlid = controller(host)
    io = io_queue(host, cntlid)
    told = []
    readers = [threading.Thread(target=lambda q=q: told.append(q.take())) for q in (admin, io)]
    admin.send(nvme.A_AER)
    for reader in readers:
        reader.start()
    remove()
    for reader in readers:
        reader.join(60)
        need(not reader.is_alive(), "a reader still waits")
    need(len(told) == 2, "%r", told)
    for queue in (admin, io):
        try:
            queue.send(nvme.A_KEEP_ALIVE)
            need(False, "a capsule is taken after the end")
        except OSError:
            pass
        os.close(queue.fd)


if __name__ == "__main__":
    if sys.argv[1] == "ends":
        ends(lambda: os.unlink(sys.argv[2]))
    else:
        {"works": works, "wrong": wrong, "sudden": sudden}[sys.argv[1]]()
