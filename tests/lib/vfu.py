# SPDX-License-Identifier: GPL-2.0
"""A guest of /dev/nvtgt-vfu for tests: memory, registers, queues, without QEMU and without a daemon."""

import ctypes
import errno
import fcntl
import mmap
import os
import select
import struct
import time

from nvmetcp import nvme

PAGE = 4096
CAP, VS, CC, CSTS, NSSR, AQA, ASQ, ACQ, CRTO = 0x00, 0x08, 0x14, 0x1C, 0x20, 0x24, 0x28, 0x30, 0x68
CC_EN = 0x460001
RDY, CFS = 1, 2
A_DELETE_SQ, A_CREATE_SQ, A_DELETE_CQ, A_CREATE_CQ, A_DBBUF = 0x00, 0x01, 0x04, 0x05, 0x7C
# Status Code Type << 8 | Status Code
DATA_XFER_ERROR, PRP_OFFSET, SGL_SEGMENT, SGL_COUNT = 0x004, 0x013, 0x00D, 0x00E
CQ_INVALID, QID_INVALID, QUEUE_SIZE, INVALID_VECTOR, QUEUE_DELETION = 0x100, 0x101, 0x102, 0x108, 0x10C
ABORT_QUEUE = 0x008
NOT_SAVEABLE = 0x10D
INTERNAL, NS_NOT_READY = 0x006, 0x082

PORT = struct.Struct("=HHI256s")
PATIENCE = 30 * int(os.environ.get("PATIENCE", "1"))


def _ioc(direction, number, size):
    return direction << 30 | size << 16 | 0xB5 << 8 | number


PORTS = _ioc(3, 0x00, 16)
ATTACH = _ioc(1, 0x01, 8)
MAP = _ioc(1, 0x10, 32)
UNMAP = _ioc(1, 0x11, 24)
REG_READ = _ioc(3, 0x12, 16)
REG_WRITE = _ioc(1, 0x13, 16)
SET_IRQ = _ioc(1, 0x14, 8)
RESET = _ioc(0, 0x15, 0)
ADOPT = _ioc(0, 0x16, 0)
INFO = _ioc(2, 0x17, 272)
MAP_RW = 3


def need(ok, text, *args):
    if not ok:
        raise AssertionError(text % args)


def wait_for(what, get):
    """Until get() is true; returns what it gives."""
    end = time.monotonic() + PATIENCE
    while True:
        got = get()
        if got:
            return got
        need(time.monotonic() < end, "%s: not within %d s", what, PATIENCE)
        time.sleep(0.001)


def fails(error, call, *args, **kw):
    try:
        call(*args, **kw)
    except OSError as e:
        need(e.errno == error, "%s and not %s", e, errno.errorcode[error])
        return
    need(False, "no error, and not %s", errno.errorcode[error])


class Memory:
    """A file of guest memory, and its pages, handed out one after the other."""

    def __init__(self, size, begin=0, flags=0):
        self.fd = os.memfd_create("guest", flags)
        os.ftruncate(self.fd, size)
        self.size = size
        self.begin = begin
        self.map = mmap.mmap(self.fd, size)
        self.words = memoryview(self.map).cast("I")
        self.next = 0

    def pages(self, nr=1):
        """The guest address of that many pages that no other call gives."""
        at = self.next
        self.next += nr * PAGE
        need(self.next <= self.size, "the guest has no more memory")
        return self.begin + at

    def write(self, gpa, data):
        self.map[gpa - self.begin:gpa - self.begin + len(data)] = data

    def read(self, gpa, size):
        return self.map[gpa - self.begin:gpa - self.begin + size]

    def word(self, gpa):
        return self.words[(gpa - self.begin) // 4]

    def set_word(self, gpa, value):
        self.words[(gpa - self.begin) // 4] = value

    def close(self):
        self.words.release()
        self.map.close()
        os.close(self.fd)


class Device:
    """/dev/nvtgt-vfu."""

    def __init__(self):
        self.fd = os.open("/dev/nvtgt-vfu", os.O_RDWR)

    def ports(self, room=16):
        """[(id, flags, path)], and how many there are."""
        buf = ctypes.create_string_buffer(PORT.size * max(room, 1))
        arg = bytearray(struct.pack("=IIQ", room, 0, ctypes.addressof(buf)))
        fcntl.ioctl(self.fd, PORTS, arg)
        nr = struct.unpack("=IIQ", arg)[0]
        found = [PORT.unpack_from(buf, i * PORT.size) for i in range(min(nr, room))]
        return [(p[0], p[1], p[3].rstrip(b"\0").decode()) for p in found], nr

    def changed(self):
        return bool(select.select([self.fd], [], [], 0)[0])

    def attach(self, port=1, vectors=16, flags=0):
        return fcntl.ioctl(self.fd, ATTACH, bytearray(struct.pack("=HHI", port, vectors, flags)))

    def close(self):
        os.close(self.fd)


class Queue:
    """A submission queue and its completion queue."""

    def __init__(self, ctrl, qid, size, cq_size=0, shadow=False):
        self.ctrl, self.qid, self.size = ctrl, qid, size
        self.cq_size = cq_size or size
        self.sq = ctrl.mem.pages((size * 64 + PAGE - 1) // PAGE)
        self.cq = ctrl.mem.pages((self.cq_size * 16 + PAGE - 1) // PAGE)
        self.tail = self.head = 0
        self.phase = 1
        self.cid = 0
        self.shadow = shadow
        self.rung = 0
        self.got = {}

    STATE = ("size", "cq_size", "sq", "cq", "tail", "head", "phase", "cid", "shadow")

    def state(self):
        """What another process needs to go on with the queue."""
        return {"qid": self.qid, **{name: getattr(self, name) for name in self.STATE}}

    @classmethod
    def restore(cls, ctrl, state):
        q = cls.__new__(cls)
        q.ctrl, q.rung, q.got = ctrl, 0, {}
        for name, value in state.items():
            setattr(q, name, value)
        return q

    def _ring(self, is_cq, old, new):
        """The doorbell, as a Linux host rings it (NVMe base 2.1, annex B.5)."""
        ctrl, at = self.ctrl, (2 * self.qid + is_cq) * 4
        if self.shadow:
            ctrl.mem.set_word(ctrl.shadow + at, new)
            event = ctrl.mem.word(ctrl.event + at)
            if (new - event - 1) & 0xFFFF >= (new - old) & 0xFFFF:
                return
        self.rung += 1
        ctrl.write(0x1000 + at, new)

    def put(self, opcode, **fields):
        """Writes an entry without ringing. Returns the command's identifier."""
        self.cid = (self.cid + 1) % 60000
        fields.setdefault("flags", 0)
        cid = fields.pop("cid", self.cid)
        self.ctrl.mem.write(self.sq + self.tail * 64, nvme.sqe(opcode, cid, **fields))
        self.tail = (self.tail + 1) % self.size
        return cid

    def ring(self, old=None):
        self._ring(0, (self.tail - 1) % self.size if old is None else old, self.tail)

    def poll(self):
        """The next completion, or None."""
        raw = self.ctrl.mem.read(self.cq + self.head * 16, 16)
        if (raw[14] & 1) != self.phase:
            return None
        old = self.head
        self.head = (self.head + 1) % self.cq_size
        if not self.head:
            self.phase ^= 1
        self._ring(1, old, self.head)
        return nvme.Completion(raw)

    def take(self, cid):
        """The completion of a command."""
        def look():
            cqe = self.poll()
            if cqe:
                need(cqe.cid not in self.got, "two completions of command %d", cqe.cid)
                self.got[cqe.cid] = cqe
            return cid in self.got
        wait_for("queue %d: a completion of command %d" % (self.qid, cid), look)
        return self.got.pop(cid)

    def run(self, opcode, **fields):
        cid = self.put(opcode, **fields)
        self.ring()
        return self.take(cid)

    def good(self, opcode, **fields):
        cqe = self.run(opcode, **fields)
        need(not cqe.status, "opcode %#x: %s", opcode, cqe)
        return cqe


def prp(one, two=0):
    return struct.pack("<QQ", one, two)


def sgl(addr, length, kind=0x00):
    return nvme.sgl(addr, length, kind)


class Controller:
    """A guest with memory and a controller."""

    def __init__(self, device, port=1, size=64 << 20, begin=0, vectors=16, memory=None, fd=-1):
        """With fd: a controller that another process has made."""
        self.fd = device.attach(port, vectors) if fd < 0 else fd
        self.mem = memory or Memory(size, begin)
        if fd < 0:
            self.map(self.mem.begin, self.mem.size)
        self.admin = None
        self.events = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def map(self, gpa, size, offset=0, fd=None, flags=MAP_RW):
        fcntl.ioctl(self.fd, MAP, struct.pack("=QQQiI", gpa, size, offset,
                                              self.mem.fd if fd is None else fd, flags))

    def unmap(self, gpa, size, flags=0):
        fcntl.ioctl(self.fd, UNMAP, struct.pack("=QQII", gpa, size, flags, 0))

    def read(self, offset, size=4):
        arg = bytearray(struct.pack("=IIQ", offset, size, 0))
        fcntl.ioctl(self.fd, REG_READ, arg)
        return struct.unpack("=IIQ", arg)[2]

    def write(self, offset, value, size=4):
        fcntl.ioctl(self.fd, REG_WRITE, struct.pack("=IIQ", offset, size, value))

    def irq(self, vector):
        """An eventfd for a vector."""
        fd = ctypes.CDLL(None).eventfd(0, os.O_NONBLOCK)
        fcntl.ioctl(self.fd, SET_IRQ, struct.pack("=Ii", vector, fd))
        self.events[vector] = fd
        return fd

    def signalled(self, vector):
        """How often a vector has been signalled since the last call."""
        try:
            return struct.unpack("=Q", os.read(self.events[vector], 8))[0]
        except BlockingIOError:
            return 0

    def try_reset(self):
        fcntl.ioctl(self.fd, RESET)

    def reset(self):
        """Again while the commands of a slow machine are not back within the call's time."""
        def done():
            try:
                self.try_reset()
                return True
            except OSError as e:
                need(e.errno == errno.EBUSY, "reset: %s", e)
                return False
        wait_for("a reset", done)

    def adopt(self):
        fcntl.ioctl(self.fd, ADOPT)

    def info(self):
        """(port, vectors, flags, identifier, path)"""
        arg = bytearray(272)
        fcntl.ioctl(self.fd, INFO, arg)
        port, vectors, flags, cntlid, *reserved = struct.unpack_from("=HHIH3H", arg)
        need(not any(reserved), "reserved fields %s", reserved)
        return port, vectors, flags, cntlid, bytes(arg[16:]).rstrip(b"\0").decode()

    def enable(self, size=32, cq_size=None, cc=CC_EN):
        self.admin = Queue(self, 0, size, cq_size or size)
        self.write(AQA, (self.admin.cq_size - 1) << 16 | (size - 1))
        self.write(ASQ, self.admin.sq, 8)
        self.write(ACQ, self.admin.cq, 8)
        self.write(CC, cc)
        wait_for("CSTS.RDY", lambda: self.read(CSTS) & (RDY | CFS))
        need(self.read(CSTS) == RDY, "CSTS %#x", self.read(CSTS))
        return self.admin

    def disable(self):
        self.write(CC, 0)
        wait_for("CSTS.RDY 0", lambda: not self.read(CSTS) & RDY)

    def use_shadow(self):
        self.shadow, self.event = self.mem.pages(), self.mem.pages()
        self.admin.good(A_DBBUF, dptr=prp(self.shadow, self.event))

    def create(self, qid, size, cq_size=0, vector=0, interrupts=True, shadow=False):
        q = Queue(self, qid, size, cq_size, shadow)
        self.admin.good(A_CREATE_CQ, dptr=prp(q.cq), cdw10=(q.cq_size - 1) << 16 | qid,
                        cdw11=vector << 16 | interrupts << 1 | 1)
        self.admin.good(A_CREATE_SQ, dptr=prp(q.sq), cdw10=(size - 1) << 16 | qid, cdw11=qid << 16 | 1)
        return q

    def identify(self, cns, nsid=0):
        page = self.mem.pages()
        self.admin.good(nvme.A_IDENTIFY, nsid=nsid, dptr=prp(page), cdw10=cns)
        return self.mem.read(page, PAGE)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            for fd in self.events.values():
                os.close(fd)
            self.mem.close()
