#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A guest's driver over /dev/nvtgt-vfu: registers, queues, PRPs, SGLs, shadow doorbells, reset."""

import array
import errno
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
import vfu  # noqa: E402
from nvmetcp import nvme  # noqa: E402
from vfu import PAGE, Controller, Device, Memory, fails, need, prp, sgl, wait_for  # noqa: E402

if os.environ.get("VM_DAEMON"):  # a socket and nvtgt-vfud in between
    from vfiouser import Controller  # noqa: E402,F811

DISK = sys.argv[2] if len(sys.argv) > 2 else None


CONFIGFS = os.environ.get("CONFIGFS", "/sys/kernel/config/nvtgt")


def set_attr(attr, value):
    with open(os.path.join(CONFIGFS, attr), "w") as f:
        f.write(value)


def get_attr(attr):
    with open(os.path.join(CONFIGFS, attr)) as f:
        return f.read().rstrip("\n")


class Port:
    """One more port, for as long as it is used."""

    def __init__(self, number, subsys="testnqn", **attrs):
        self.dir, self.subsys = "ports/%d" % number, subsys
        os.mkdir(os.path.join(CONFIGFS, self.dir))
        attrs = {"addr_trtype": "vfio-user", "addr_traddr": "/run/nvtgt/vm%d.sock" % number, **attrs}
        for name, value in attrs.items():
            set_attr("%s/%s" % (self.dir, name), value)

    def link(self, subsys=None):
        subsys = subsys or self.subsys
        os.symlink(os.path.join(CONFIGFS, "subsystems", subsys),
                   os.path.join(CONFIGFS, self.dir, "subsystems", subsys))

    def unlink(self, subsys=None):
        os.unlink(os.path.join(CONFIGFS, self.dir, "subsystems", subsys or self.subsys))

    def __enter__(self):
        self.link()
        return self

    def __exit__(self, *_):
        self.unlink()
        self.remove()

    def remove(self):
        os.rmdir(os.path.join(CONFIGFS, self.dir))


class Child:
    """A process that runs a function with its end of a socket."""

    def __init__(self, run, *args):
        self.sock, other = socket.socketpair()
        self.pid = os.fork()
        if self.pid:
            other.close()
            return
        status = 1
        try:
            self.sock.close()
            run(other, *args)
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(status)

    def hear(self):
        """A message, and the file descriptors that came with it."""
        fds = array.array("i")
        data, rights, _, _ = self.sock.recvmsg(1 << 16, socket.CMSG_SPACE(8 * fds.itemsize))
        need(data, "the other process says nothing")
        for _, _, content in rights:
            fds.frombytes(content)
        return json.loads(data), list(fds)

    def tell(self):
        self.sock.send(b"1")

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.wait(-signal.SIGKILL)

    def wait(self, expected=0):
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.sock.close()
        need(status == expected, "the other process ended with %d", status)


def hand_over(sock, what, *fds):
    """To the process that made this one."""
    sock.sendmsg([json.dumps(what).encode()],
                 [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


def locked(pid="self"):
    """Bytes that a process is charged for."""
    with open("/proc/%s/status" % pid) as f:
        return int(next(line for line in f if line.startswith("VmLck")).split()[1]) << 10


def on_disk(offset, size):
    fd = os.open(DISK, os.O_RDONLY | os.O_DIRECT)
    try:
        buf = memoryview(__import__("mmap").mmap(-1, (size + PAGE - 1) // PAGE * PAGE))
        need(os.preadv(fd, [buf], offset) >= size, "a short read of %s", DISK)
        return bytes(buf[:size])
    finally:
        os.close(fd)


def connections():
    """Queues that there are."""
    with open("/sys/kernel/debug/nvtgt/connections") as f:
        return f.read()


def registers():
    """What there is, what is not, and what a reset does."""
    device = Device()
    ports, nr = device.ports()
    need(nr == 1 and ports[0] == (1, 0, "/run/nvtgt/vm1.sock"), "ports %s", ports)
    need(not device.changed(), "the list has changed by itself")
    with Controller(device) as c:
        need(device.changed() and device.ports()[0][0][1] == 1, "the port says that it has no controller")
        fails(errno.EBUSY, device.attach)
        cap = c.read(vfu.CAP, 8)
        need(cap & 0xFFFF == 1023 and cap >> 16 & 1 and cap >> 37 & 1, "CAP %#x", cap)
        need(c.read(vfu.CAP) | c.read(vfu.CAP + 4) << 32 == cap, "CAP in two halves")
        need(c.read(vfu.VS) >> 16 >= 1, "VS %#x", c.read(vfu.VS))
        # a mask for interrupts by pin and MSI, which there are none of
        c.write(0x0C, 0xFF00FF)
        c.write(0x10, 0x0F000F)
        need(c.read(0x0C) == c.read(0x10) == 0xF000F0, "INTMS %#x", c.read(0x0C))
        c.reset()
        need(not c.read(0x0C) and not c.read(0x10), "INTMS after a reset")
        for offset in (0x20, 0x38, 0x3C, 0x40, 0x100, 0xFFC, 0x1000, 0x2000, 0x3FFC, 0xFFFFFFFC):
            need(c.read(offset) == 0, "register %#x is not 0", offset)
            c.write(offset, 0xFFFFFFFF)
        for offset, size in ((1, 4), (2, 4), (0, 2), (4, 8), (0, 0), (0, 16)):
            fails(errno.EINVAL, c.read, offset, size)
        c.write(vfu.ASQ, 0x123456789ABCD000, 8)
        need(c.read(vfu.ASQ, 8) == 0x123456789ABCD000, "ASQ")
        # not in memory; not at a page; one entry; a wrong page size: fatal, and a reset heals
        for aqa, asq, acq, cc in ((0x1F001F, 1 << 40, 0x1000, vfu.CC_EN), (0x1F001F, 0x1000, 1 << 40, vfu.CC_EN),
                                  (0x1F001F, 0x1040, 0x2000, vfu.CC_EN), (0x1F0000, 0x1000, 0x2000, vfu.CC_EN),
                                  (0x1F, 0x1000, 0x2000, vfu.CC_EN), (0x1F001F, 0x1000, 0x2000, vfu.CC_EN | 1 << 7),
                                  (0x1F001F, 0x1000, 0x2000, 0x450001), (0x1F001F, 0x1000, 0x2000, 0x560001),
                                  (0x1F001F, 0x1000, 0x2000, 0x050001), (0x1F001F, 0x1000, 0x2000, 0x300001),
                                  *((0x1F001F, 0x1000, 0x2000, vfu.CC_EN | css << 4) for css in (1, 2, 5, 7)),
                                  *((0x1F001F, 0x1000, 0x2000, vfu.CC_EN | ams << 11) for ams in (1, 2, 7)),
                                  (0x1F001F, 0x1000, 0x2000, vfu.CC_EN | 0xF << 7)):
            c.write(vfu.AQA, aqa)
            c.write(vfu.ASQ, asq, 8)
            c.write(vfu.ACQ, acq, 8)
            c.write(vfu.CC, cc)
            wait_for("CFS", lambda: c.read(vfu.CSTS) & vfu.CFS)
            c.write(vfu.CC, 0)
            wait_for("CSTS 0", lambda: not c.read(vfu.CSTS))
        # all I/O command sets; entry sizes that are set before the first I/O queue
        for cc in vfu.CC_EN | 6 << 4, 1, 0x060001, 0x400001:
            c.enable(cc=cc)
            c.disable()
        c.enable(2)
        need(c.identify(1)[4:24].strip(), "no serial number")
        c.reset()
        need(not c.read(vfu.CSTS) and not c.read(vfu.ASQ, 8) and not c.read(vfu.AQA), "reset")
        c.enable(4096)
        # shutdown
        c.write(vfu.CC, vfu.CC_EN | 1 << 14)
        wait_for("SHST", lambda: c.read(vfu.CSTS) >> 2 & 3 == 2)
        wait_for("the queue is gone", lambda: not connections())
        time.sleep(0.2)
        need(not connections(), "the admin queue is there again after the shutdown")
        c.write(vfu.CC, 0)
        wait_for("CSTS", lambda: not c.read(vfu.CSTS) & vfu.RDY)
        c.enable()
    wait_for("the controller is gone", lambda: not device.ports()[0][0][1])
    with Controller(device) as c:
        c.enable()
    device.close()


def identify():
    """What differs from a controller over fabrics."""
    device = Device()
    with Controller(device) as c:
        c.enable()
        ctrl = c.identify(1)
        cntlid, oacs = struct.unpack_from("<H", ctrl, 78)[0], struct.unpack_from("<H", ctrl, 256)[0]
        need(oacs & 0x100, "OACS %#x: no doorbell buffer", oacs)
        need(ctrl[77] == 8, "MDTS %d", ctrl[77])
        need(struct.unpack_from("<H", ctrl, 320)[0] == 0, "KAS")
        need(struct.unpack_from("<H", ctrl, 514)[0] == 0, "MAXCMD")
        need(struct.unpack_from("<I", ctrl, 536)[0] == 1, "SGLS %#x", struct.unpack_from("<I", ctrl, 536)[0])
        need(not any(ctrl[1792:1804]), "IOCCSZ … MSDBD %s", ctrl[1792:1804])
        need(ctrl[111] == 1, "CNTRLTYPE %d", ctrl[111])
        need(c.admin.run(nvme.OP_FABRICS, nsid=4).status == nvme.INVALID_OPCODE, "a fabrics command")
        need(c.admin.run(nvme.A_IDENTIFY, flags=0x40, dptr=sgl(c.mem.pages(), PAGE), cdw10=1).status ==
             nvme.INVALID_FIELD, "an admin command with an SGL")
        # the number of queues
        n = c.admin.good(nvme.A_SET_FEATURES, cdw10=7, cdw11=0x3F003F).dw0
        need(n & 0xFFFF and n & 0xFFFF == n >> 16, "queues %#x", n)
        c.disable()
        c.enable()
        need(struct.unpack_from("<H", c.identify(1), 78)[0] == cntlid, "another identifier after a reset")
    device.close()


def queues():
    """Creating and deleting, and what is wrong with it."""
    device = Device()
    with Controller(device) as c:
        admin = c.enable()
        page = c.mem.pages(20)

        def cq(qid=1, size=64, at=page, cdw11=3):
            return admin.run(vfu.A_CREATE_CQ, dptr=prp(at), cdw10=(size - 1) << 16 | qid, cdw11=cdw11).status

        def sq(qid=1, size=64, at=page, cqid=1, flags=1):
            return admin.run(vfu.A_CREATE_SQ, dptr=prp(at), cdw10=(size - 1) << 16 | qid,
                             cdw11=cqid << 16 | flags).status

        for status, args in ((vfu.QID_INVALID, {"qid": 0}), (vfu.QID_INVALID, {"qid": 129}),
                             (vfu.QID_INVALID, {"qid": 0xFFFF}), (vfu.QUEUE_SIZE, {"size": 1}),
                             (vfu.QUEUE_SIZE, {"size": 1025}), (vfu.QUEUE_SIZE, {"size": 65536}),
                             (nvme.INVALID_FIELD, {"cdw11": 2}), (vfu.PRP_OFFSET, {"at": page + 8}),
                             (vfu.DATA_XFER_ERROR, {"at": 1 << 40}), (vfu.DATA_XFER_ERROR, {"at": 64 << 20}),
                             (vfu.DATA_XFER_ERROR, {"at": (64 << 20) - PAGE, "size": 1024}),
                             (vfu.INVALID_VECTOR, {"cdw11": 16 << 16 | 3})):
            got = cq(**args)
            need(got == status, "Create CQ %s: %#x and not %#x", args, got, status)
        need(cq(cdw11=16 << 16 | 1) == 0, "a vector that is not used")
        need(cq() == vfu.QID_INVALID, "the queue is there already")
        for status, args in ((vfu.QID_INVALID, {"qid": 0}), (vfu.QID_INVALID, {"qid": 129}),
                             (vfu.CQ_INVALID, {"cqid": 2}), (vfu.QID_INVALID, {"cqid": 0}),
                             (vfu.QID_INVALID, {"cqid": 129}), (vfu.QUEUE_SIZE, {"size": 1}),
                             (nvme.INVALID_FIELD, {"flags": 0}), (vfu.PRP_OFFSET, {"at": page + 64}),
                             (vfu.DATA_XFER_ERROR, {"at": 1 << 62})):
            got = sq(**args)
            need(got == status, "Create SQ %s: %#x and not %#x", args, got, status)
        need(sq(at=page + PAGE) == 0 and sq() == vfu.QID_INVALID, "Create SQ")
        need(sq(qid=2, at=page + 2 * PAGE) == 0, "a second one of the same completion queue")
        delete = lambda op, qid: admin.run(op, cdw10=qid).status  # noqa: E731
        need(delete(vfu.A_DELETE_CQ, 1) == vfu.QUEUE_DELETION, "a completion queue in use")
        for op in (vfu.A_DELETE_CQ, vfu.A_DELETE_SQ):
            for qid in (0, 3, 129, 0xFFFF):
                need(delete(op, qid) == vfu.QID_INVALID, "delete %d", qid)
        need(delete(vfu.A_DELETE_SQ, 1) == 0 and delete(vfu.A_DELETE_SQ, 1) == vfu.QID_INVALID, "delete")
        need(sq(at=page + PAGE) == 0 and delete(vfu.A_DELETE_SQ, 1) == 0, "again")
        need(delete(vfu.A_DELETE_SQ, 2) == 0 and delete(vfu.A_DELETE_CQ, 1) == 0, "delete both")
        # the sizes of entries, which have not been set, or have been taken back
        for cc, status in ((0x060001, (vfu.QUEUE_SIZE, vfu.CQ_INVALID)), (0x400001, (0, vfu.QUEUE_SIZE)),
                           (0x350001, (vfu.QUEUE_SIZE, vfu.QUEUE_SIZE)), (vfu.CC_EN, (0, 0))):
            c.write(vfu.CC, cc)
            got = cq(), sq(at=page + PAGE)
            need(got == status, "CC %#x: %s and not %s", cc, got, status)
            if not got[1]:
                delete(vfu.A_DELETE_SQ, 1)
            if not got[0]:
                delete(vfu.A_DELETE_CQ, 1)
        # no more queues than there may be of all guests; none of the others ends
        limit = "/sys/module/nvtgt_vfu/parameters/max_queues"
        with open(limit) as f:
            old = f.read()
        try:
            with open(limit, "w") as f:
                f.write("2")
            need((cq(), sq(at=page + PAGE)) == (0, 0), "the second of two")
            need(sq(qid=2, at=page + 2 * PAGE) == vfu.INTERNAL, "the third of two")
            c.identify(1)
            delete(vfu.A_DELETE_SQ, 1)
            delete(vfu.A_DELETE_CQ, 1)
        finally:
            with open(limit, "w") as f:
                f.write(old)
        # doorbells of what is not there, and beyond the queue: events
        aer = admin.put(nvme.A_AER)
        admin.ring()
        c.write(0x1000 + 8 * 7, 1)
        need(admin.take(aer).dw0 == 0x010000, "an event for an unknown queue's doorbell")
        aer = admin.put(nvme.A_AER)
        admin.ring()
        c.write(0x1000, 32)
        need(admin.take(aer).dw0 == 0x010100, "an event for a doorbell beyond the queue")
        c.identify(1)
    device.close()


def lists(c, q, data, size, first_offset, at_page_end=False):
    """PRPs for a transfer that begins at an offset in a page; the data are put there. Pages are apart."""
    gpas, left, off, done = [], size, first_offset, 0
    while left:
        c.mem.pages()		# no two pages are neighbours
        part = min(left, PAGE - off)
        gpa = c.mem.pages() + off
        if data:
            c.mem.write(gpa, data[done:done + part])
        gpas.append((gpa, part))
        done, left, off = done + part, left - part, 0
    if len(gpas) == 1:
        return prp(gpas[0][0]), gpas
    if len(gpas) == 2:
        return prp(gpas[0][0], gpas[1][0]), gpas
    entries = [g for g, _ in gpas[1:]]
    page = c.mem.pages()
    at = page + (PAGE - 8 if at_page_end else 0)
    first = at
    while entries:
        room = (page + PAGE - at) // 8
        if len(entries) > room:
            more = c.mem.pages()
            c.mem.write(at, b"".join(struct.pack("<Q", e) for e in entries[:room - 1] + [more]))
            entries, page, at = entries[room - 1:], more, more
        else:
            c.mem.write(at, b"".join(struct.pack("<Q", e) for e in entries))
            entries = []
    return prp(gpas[0][0], first), gpas


def data():
    """Reads and writes with PRPs and SGLs of all shapes, compared with the disk."""
    device = Device()
    with Controller(device, size=512 << 20) as c:
        c.enable()
        q = c.create(1, 64)
        block = int(sys.argv[3]) if len(sys.argv) > 3 else 512
        slba = 0
        for size in (block, PAGE, 2 * PAGE, 3 * PAGE, 64 << 10, 1 << 20):
            for offset in (0, 512, 4, 2048, 4092):
                for end in (False, True):
                    out = os.urandom(size)
                    blocks = size // block
                    ptr, _ = lists(c, q, out, size, offset, end)
                    q.good(nvme.WRITE, nsid=1, dptr=ptr, **nvme.rw(slba, blocks))
                    need(on_disk(slba * block, size) == out, "what was written: %d bytes, offset %d", size, offset)
                    ptr, gpas = lists(c, q, None, size, offset, end)
                    q.good(nvme.READ, nsid=1, dptr=ptr, **nvme.rw(slba, blocks))
                    got = b"".join(c.mem.read(g, n) for g, n in gpas)
                    need(got == out, "what was read: %d bytes, offset %d", size, offset)
        # SGLs: a data block; segments; odd pieces
        for sizes in ((PAGE,), (1 << 20,), (512, 512, 3072), (1, 4095), (4096,) * 16, (100, 3996) * 8,
                      (0, 4096, 0), (4096 + 512, 4096 - 512) * 128, (1024,) * 512, (3,) * 1364 + (4,)):
            size = sum(sizes)
            out = os.urandom(size)
            descs, done = [], 0
            for n in sizes:
                gpa = c.mem.pages((n + 7 + PAGE) // PAGE) + 7 * (n < PAGE)
                c.mem.write(gpa, out[done:done + n])
                descs.append((gpa, n))
                done += n
            for cut in (0, 1, 3):
                if len(descs) == 1:
                    ptr = sgl(*descs[0])
                elif not cut or len(descs) <= cut:
                    page = c.mem.pages(8) + 8
                    c.mem.write(page, b"".join(sgl(*d) for d in descs))
                    ptr = sgl(page, 16 * len(descs), 0x30)
                else:
                    page, last = c.mem.pages() + 16, c.mem.pages(8)
                    c.mem.write(page, b"".join(sgl(*d) for d in descs[:cut]) +
                                sgl(last, 16 * len(descs[cut:]), 0x30))
                    c.mem.write(last, b"".join(sgl(*d) for d in descs[cut:]))
                    ptr = sgl(page, 16 * (cut + 1), 0x20)
                cqe = q.run(nvme.WRITE, nsid=1, flags=0x40, dptr=ptr, **nvme.rw(8, size // block))
                if len(sizes) > 1024:
                    need(cqe.status == vfu.SGL_COUNT, "%d pieces: %s", len(sizes), cqe)
                    continue
                need(not cqe.status and on_disk(8 * block, size) == out, "SGL of %s: %s", sizes[:8], cqe)
    device.close()


def wrong():
    """Pointers to nowhere: a status, nothing else."""
    device = Device()
    with Controller(device) as c:
        c.enable()
        q = c.create(1, 64)
        page, lst = c.mem.pages(), c.mem.pages()
        beyond = 64 << 20
        rows = [
            (vfu.DATA_XFER_ERROR, 0, prp(beyond), 8), (vfu.DATA_XFER_ERROR, 0, prp(2 ** 64 - PAGE), 8),
            (vfu.PRP_OFFSET, 0, prp(page + 1), 8), (vfu.PRP_OFFSET, 0, prp(page, page + 4), 16),
            (vfu.DATA_XFER_ERROR, 0, prp(page, beyond), 16), (vfu.DATA_XFER_ERROR, 0, prp(page, beyond), 32),
            (vfu.PRP_OFFSET, 0, prp(page, lst + 4), 32), (vfu.DATA_XFER_ERROR, 0, prp(page, 2 ** 64 - 8), 2048),
            (vfu.DATA_XFER_ERROR, 0, prp(beyond - PAGE + 2048, beyond), 8),
            (nvme.SGL_LENGTH, 0x40, sgl(page, 512), 8), (nvme.SGL_LENGTH, 0x40, sgl(page, PAGE + 1), 8),
            (nvme.SGL_LENGTH, 0x40, sgl(page, 0), 8), (nvme.SGL_TYPE, 0x40, sgl(page, PAGE, 0x10), 8),
            (nvme.SGL_TYPE, 0x40, sgl(page, PAGE, 0x40), 8), (nvme.SGL_TYPE, 0x40, sgl(page, PAGE, 0x5A), 8),
            (nvme.SGL_TYPE, 0x40, sgl(page, PAGE, 0x01), 8), (nvme.SGL_LENGTH, 0x40, sgl(2 ** 64 - 16, PAGE), 8),
            (vfu.DATA_XFER_ERROR, 0x40, sgl(beyond, PAGE), 8), (vfu.DATA_XFER_ERROR, 0x40, sgl(beyond, 32, 0x30), 8),
            (vfu.SGL_SEGMENT, 0x40, sgl(lst, 8, 0x30), 8), (vfu.SGL_SEGMENT, 0x40, sgl(lst, 0, 0x20), 8),
            (vfu.SGL_SEGMENT, 0x40, sgl(2 ** 64 - 16, 32, 0x30), 8),
            (nvme.INVALID_FIELD, 0x80, sgl(page, PAGE), 8), (nvme.INVALID_FIELD, 0x01, prp(page), 8),
        ]
        for i, (status, flags, ptr, blocks) in enumerate(rows):
            for op in (nvme.READ, nvme.WRITE):
                cqe = q.run(op, nsid=1, flags=flags, dptr=ptr, **nvme.rw(0, blocks))
                need(cqe.status == status, "row %d: %s and not %#x", i, cqe, status)
        # lists and segments that point at themselves or have holes
        c.mem.write(lst, struct.pack("<Q", lst) * 512)
        need(not q.run(nvme.READ, nsid=1, dptr=prp(page, c.mem.pages()), **nvme.rw(0, 8)).status, "PRP2 is not used")
        need(q.run(nvme.WRITE, nsid=1, dptr=prp(page, lst + PAGE - 8), **nvme.rw(0, 2048)).status == 0,
             "a list that names itself is read to the end")
        c.mem.write(lst, struct.pack("<Q", page + 8) * 512)
        need(q.run(nvme.READ, nsid=1, dptr=prp(page, lst), **nvme.rw(0, 32)).status == vfu.PRP_OFFSET, "an offset")
        seg = sgl(lst, PAGE, 0x20)
        c.mem.write(lst, sgl(page, 0) * 255 + seg)
        need(q.run(nvme.READ, nsid=1, flags=0x40, dptr=seg, **nvme.rw(0, 8)).status == vfu.SGL_COUNT,
             "a segment that names itself")
        c.mem.write(lst, sgl(page, 512) + seg + sgl(page, 512))
        for kind in (0x20, 0x30):
            need(q.run(nvme.READ, nsid=1, flags=0x40, dptr=sgl(lst, 48, kind), **nvme.rw(0, 8)).status ==
                 vfu.SGL_SEGMENT, "a segment in the middle of another")
        c.mem.write(lst, sgl(page, 512) + sgl(lst, 32, 0x30))
        need(q.run(nvme.READ, nsid=1, flags=0x40, dptr=sgl(lst, 32, 0x30), **nvme.rw(0, 8)).status ==
             vfu.SGL_SEGMENT, "a last segment that names another")
        # memory for reading alone
        c.map(1 << 32, PAGE, 0, flags=1)
        need(q.run(nvme.READ, nsid=1, dptr=prp(1 << 32), **nvme.rw(0, 8)).status == vfu.DATA_XFER_ERROR,
             "a read into memory that may not be written")
        q.good(nvme.WRITE, nsid=1, dptr=prp(1 << 32), **nvme.rw(0, 8))
        q.good(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(0, 8))
    device.close()


def many():
    """A full queue over and over, with and without shadow doorbells; a completion queue that is too small."""
    device = Device()
    for shadow in (False, True):
        wait_for("the port is free", lambda: not device.ports()[0][0][1])
        with Controller(device) as c:
            c.enable()
            if shadow:
                c.use_shadow()
            c.irq(1)
            q = c.create(1, 32, vector=1, shadow=shadow)
            small = c.create(2, 64, cq_size=4, shadow=shadow)
            page = c.mem.pages()
            for _ in range(40):
                old = q.tail
                cids = [q.put(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(i, 8)) for i in range(31)]
                q.ring(old)
                for cid in cids:
                    cqe = q.take(cid)
                    need(not cqe.status, "%s", cqe)
            need(c.signalled(1), "no interrupt")
            if shadow:
                need(q.rung < 40 * 32, "every doorbell was rung")
            for _ in range(10):
                old = small.tail
                cids = [small.put(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(i, 8)) for i in range(63)]
                small.ring(old)
                for cid in cids:
                    need(not small.take(cid).status, "a small completion queue")
    device.close()


def shadow():
    """Shadow doorbells that cannot be reached: what the registers said last is old."""
    device = Device()
    with Controller(device) as c:
        c.enable()
        c.shadow, c.event = c.mem.pages(2), 0
        c.event = c.shadow + PAGE
        alias = 1 << 40
        c.map(alias, 2 * PAGE, c.shadow)
        c.admin.good(vfu.A_DBBUF, dptr=prp(alias, alias + PAGE))
        q = c.create(1, 32, shadow=True)
        page = c.mem.pages()
        for i in range(100):
            q.good(nvme.WRITE, nsid=1, dptr=prp(page), **nvme.rw(i, 1))
            if i == 50:
                c.write(0x1000 + 8, q.tail)
        c.unmap(alias, 2 * PAGE)
        # queues are looked at again
        c.map(2 * alias, PAGE)
        c.identify(1)
        time.sleep(0.2)
        need(not q.poll(), "an old entry was executed again")
        cid = q.put(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(0, 1))
        q.ring()
        time.sleep(0.2)
        need(not q.poll(), "a tail that cannot be read")
        c.map(alias, 2 * PAGE, c.shadow)
        need(not q.take(cid).status, "the shadow doorbells are there again")
        for i in range(100):
            q.good(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(i, 1))
        # a queue that is there already when the shadow doorbells come
        c.disable()
        c.enable()
        q = c.create(1, 32)
        q.good(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(0, 1))
        c.mem.write(c.shadow, bytes(2 * PAGE))
        c.mem.set_word(c.shadow + 8, q.tail)
        c.mem.set_word(c.shadow + 12, q.head)
        c.admin.good(vfu.A_DBBUF, dptr=prp(c.shadow, c.event))
        q.shadow = True
        for i in range(100):
            q.good(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(i, 1))
            time.sleep(0.002)
    device.close()


def huge():
    """Data that go over the end of a huge page, and are copied."""
    device = Device()
    large, nr = 2 << 20, 6
    for order in (1, -1):
        wait_for("the port is free", lambda: not device.ports()[0][0][1])
        try:
            mem = Memory(nr * large, flags=4)
            for i in list(range(nr))[::order]:
                mem.write(i * large, b"x")
        except OSError as e:
            print("no huge pages: %s" % e)
            return
        with Controller(device, memory=mem) as c:
            c.enable()
            q = c.create(1, 32)
            for i in range(1, nr):
                gpa, out = i * large - 2047, os.urandom(PAGE)
                mem.write(gpa, out)
                q.good(nvme.WRITE, nsid=1, flags=0x40, dptr=sgl(gpa, PAGE), **nvme.rw(8 * i, 8))
                need(on_disk(8 * i * 512, PAGE) == out, "what was written from boundary %d", i)
                mem.write(gpa, bytes(PAGE))
                q.good(nvme.READ, nsid=1, flags=0x40, dptr=sgl(gpa, PAGE), **nvme.rw(8 * i, 8))
                need(mem.read(gpa, PAGE) == out, "what was read to boundary %d", i)
    device.close()


def memory():
    """Regions: what is refused, and what goes while it is used."""
    device = Device()
    with Controller(device) as c:
        fails(errno.EEXIST, c.map, 0, PAGE)
        fails(errno.EEXIST, c.map, (64 << 20) - PAGE, 2 * PAGE)
        other = 1 << 40
        for gpa, size, offset in ((1, PAGE, 0), (other, 1, 0), (other, PAGE, 1), (other, 0, 0),
                                  (2 ** 64 - PAGE, PAGE, 0), (other, PAGE, 64 << 20), (other, 65 << 20, 0),
                                  (other, PAGE, 2 ** 64 - PAGE)):
            fails(errno.EINVAL, c.map, gpa, size, offset)
        fails(errno.EINVAL, c.map, other, PAGE, flags=8)
        fails(errno.EBADF, c.map, other, PAGE, fd=999)
        for path, error in (("/dev/null", errno.ENODEV), ("/proc/self/mem", errno.ENODEV), ("/", errno.ENODEV)):
            fd = os.open(path, os.O_RDONLY)
            fails(error, c.map, other, PAGE, fd=fd)
            os.close(fd)
        c.map(other, 1 << 30, fd=-1)
        fails(errno.ENOENT, c.unmap, other, PAGE)
        fails(errno.ENOENT, c.unmap, other + PAGE, 2 << 30)
        fails(errno.ENOENT, c.unmap, 1 << 50, PAGE)
        fails(errno.EINVAL, c.unmap, other, 1)
        c.unmap(other, 1 << 30)
        c.enable()
        q = c.create(1, 32)
        more = Memory(4 << 20, other)
        c.map(other, more.size, fd=more.fd)
        q.good(nvme.READ, nsid=1, dptr=prp(other + PAGE), **nvme.rw(0, 8))
        c.unmap(other, more.size)
        need(q.run(nvme.READ, nsid=1, dptr=prp(other + PAGE), **nvme.rw(0, 8)).status == vfu.DATA_XFER_ERROR,
             "memory that is gone")
        c.map(other, more.size, fd=more.fd)
        q.good(nvme.READ, nsid=1, dptr=prp(other + PAGE), **nvme.rw(0, 8))
        # the queue's own memory goes, and comes back
        c.unmap(0, c.mem.size)
        cid = q.put(nvme.READ, nsid=1, dptr=prp(other), **nvme.rw(0, 8))
        q.ring()
        c.map(0, c.mem.size)
        need(not q.take(cid).status, "a queue whose memory has come back")
        c.unmap(0, 0, flags=1)
        c.map(0, c.mem.size)
        c.identify(1)
        # a completion queue without a submission queue, whose memory becomes another
        c.map(other, more.size, fd=more.fd)
        q = c.create(2, 32)
        q.good(nvme.READ, nsid=1, dptr=prp(other), **nvme.rw(0, 8))
        lone = vfu.Queue(c, 3, 32)
        lone.cq = other
        more.write(other, bytes(PAGE))
        c.admin.good(vfu.A_CREATE_CQ, dptr=prp(lone.cq), cdw10=31 << 16 | 3, cdw11=1)
        create = {"dptr": prp(lone.sq), "cdw10": 31 << 16 | 3, "cdw11": 3 << 16 | 1}
        c.admin.good(vfu.A_CREATE_SQ, **create)
        lone.tail = 1
        c.mem.write(lone.sq, nvme.sqe(nvme.FLUSH, 77, flags=0, nsid=1))
        lone.ring()
        wait_for("a completion", lambda: more.read(other + 12, 2) == b"\x4d\0")
        c.admin.good(vfu.A_DELETE_SQ, cdw10=3)
        c.unmap(other, more.size)
        new = Memory(4 << 20, other)
        c.map(other, new.size, fd=new.fd)
        kept = more.read(other, PAGE)
        c.admin.good(vfu.A_CREATE_SQ, **create)
        c.mem.write(lone.sq, nvme.sqe(nvme.FLUSH, 78, flags=0, nsid=1))
        lone.ring()
        wait_for("a completion in the new memory", lambda: new.read(other + 16 + 12, 2) == b"\x4e\0")
        need(more.read(other, PAGE) == kept, "what had been unmapped was written")
        new.close()
        more.close()
    wait_for("the port is free", lambda: not device.ports()[0][0][1])
    # a file that is shorter than a chunk, and regions of odd pages of it
    odd = Memory(7 * PAGE, 0)
    with Controller(device, memory=odd) as c:
        c.admin = vfu.Queue(c, 0, 2)
        c.unmap(0, odd.size)
        for i in range(7):
            c.map(i * 3 * PAGE, PAGE, (6 - i) * PAGE)
    device.close()


def sudden():
    """The process goes with commands in flight; a reset with them."""
    device = Device()
    for how in ("close", "reset", "disable", "unmap") * 3:
        with Controller(device) as c:
            c.enable()
            q = c.create(1, 256)
            page = c.mem.pages(64)
            for i in range(255):
                q.put(nvme.WRITE, nsid=1, dptr=prp(page + i % 64 * PAGE), **nvme.rw(8 * i, 8))
            q.ring(0)
            if how == "reset":
                c.reset()
            elif how == "disable":
                c.disable()
            elif how == "unmap":
                c.unmap(0, 0, flags=1)
        wait_for("the port is free", lambda: not device.ports()[0][0][1])
    device.close()


def features():
    """Those that PCIe functions alone have: interrupts."""
    device = Device()
    with Controller(device, vectors=5) as c:
        admin = c.enable()

        def get(fid, sel=0, cdw11=0):
            cqe = admin.run(nvme.A_GET_FEATURES, cdw10=sel << 8 | fid, cdw11=cdw11)
            return cqe.dw0 if not cqe.status else -cqe.status

        def put(fid, value, cdw10=0):
            return admin.run(nvme.A_SET_FEATURES, cdw10=cdw10 | fid, cdw11=value).status

        for again in (0, 1):
            need(get(8) == 0 and [get(9, cdw11=iv) for iv in range(5)] == list(range(5)), "defaults %d", again)
            need(put(8, 0x1207) == 0 and get(8) == 0x1207, "coalescing")
            need(put(9, 1 << 16 | 3) == 0 and put(9, 1 << 16 | 4) == 0 and put(9, 4) == 0, "vectors")
            need([get(9, cdw11=iv) for iv in range(5)] == [0, 1, 2, 1 << 16 | 3, 4], "vectors")
            for fid in 8, 9:
                need(get(fid, 1) == 0 and get(fid, 2) == 0, "default and saved")
                need(get(fid, 3) == 4, "changeable: %#x", get(fid, 3))
                need(get(fid, 4) == -nvme.INVALID_FIELD, "a SEL that there is not")
                need(put(fid, 0, 1 << 31) == vfu.NOT_SAVEABLE, "saved")
            for iv in 5, 16, 0xFFFF, 1 << 16 | 5:
                need(put(9, iv) == nvme.INVALID_FIELD and get(9, cdw11=iv) == -nvme.INVALID_FIELD, "vector %#x", iv)
                need(get(9, 1, iv) == -nvme.INVALID_FIELD, "the default of vector %#x", iv)
            need(get(9, 1, 3) == 3, "the default of a vector")
            need(get(0x0F) == -nvme.INVALID_FIELD and put(0x0F, 5000) == nvme.INVALID_FIELD, "keep alive, KAS is 0")
            need(admin.run(nvme.A_KEEP_ALIVE).status == nvme.INVALID_OPCODE, "Keep Alive")
            page = c.mem.pages()
            admin.good(nvme.A_LOG, dptr=prp(page), cdw10=0x12 | (PAGE // 4 - 1) << 16)
            log = struct.unpack("<256I", c.mem.read(page, 1024))
            need(log[8] & 1 and log[9] & 1 and log[7] & 1 and not (log[3] | log[15]) & 1, "the log of features")
            if again:
                c.reset()
            else:
                c.disable()
            admin = c.enable()
    device.close()


class Slow:
    """A namespace whose commands take as long as the test wants."""

    def __init__(self, options):
        self.dir = "subsystems/testnqn/namespaces/2"
        os.mkdir(os.path.join(CONFIGFS, self.dir))
        set_attr(self.dir + "/backend", "null")
        set_attr(self.dir + "/backend_options", "size=64m," + options)
        set_attr(self.dir + "/enable", "1")

    def set(self, options):
        set_attr(self.dir + "/backend_options", "size=64m," + options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.set("stall=0")
        set_attr(self.dir + "/enable", "0")
        os.rmdir(os.path.join(CONFIGFS, self.dir))


def stuck():
    """A device that is slow, or does not answer: resets, and memory that goes."""
    device = Device()

    def prepare(c):
        c.enable()
        q = c.create(1, 32, vector=1)
        c.irq(1)
        page = c.mem.pages(2)
        c.mem.write(page, b"\xaa" * PAGE)
        q.put(nvme.READ, nsid=2, dptr=prp(page), **nvme.rw(0, 8))
        q.put(nvme.WRITE, nsid=2, dptr=prp(page + PAGE), **nvme.rw(0, 8))
        q.ring(0)
        # both have been fetched, as one more command of the queue has
        q.good(nvme.READ, nsid=1, dptr=prp(c.mem.pages()), **nvme.rw(0, 8))
        return q

    def image(c, q):
        return c.mem.read(c.mem.begin, c.mem.next), c.signalled(1)

    with Slow("delay_us=2000000") as slow:
        # the reset takes as long as the commands; nothing is written afterwards
        with Controller(device) as c:
            q = prepare(c)
            cqes = c.mem.read(q.cq, PAGE)
            begin = time.monotonic()
            c.reset()
            need(time.monotonic() - begin > 0.5, "commands were not waited for")
            need(c.mem.read(q.cq, PAGE) == cqes, "a command was answered after the reset")
            c.signalled(1)
            before = image(c, q)
            time.sleep(1)
            need(image(c, q) == before, "guest memory was written after the reset")
            c.enable()
        wait_for("the port is free", lambda: not device.ports()[0][0][1])
        # none is answered: the reset is bounded, and so is all else
        slow.set("stall=1")
        with Controller(device) as c:
            q = prepare(c)
            cqes = c.mem.read(q.cq, PAGE)

            def unmap(sock):
                sock.send(b"1")
                c.unmap(0, 0, flags=1)
            child = Child(unmap)
            child.sock.recv(1)
            wait_for("the regions are gone", lambda: unmapped(c))
            begin = time.monotonic()
            fails(errno.EBUSY, c.try_reset)
            took = time.monotonic() - begin
            need(3 < took < 4 + vfu.PATIENCE, "%d s", took)
            need(c.read(vfu.CSTS) & (vfu.RDY | vfu.CFS), "CSTS %#x", c.read(vfu.CSTS))
            need(c.info()[0] == 1, "info")
            child.kill()
            c.map(PAGE, c.mem.size - PAGE, PAGE)
            c.signalled(1)
            before = image(c, q)
            child = Child(unmap)
            child.sock.recv(1)
            slow.set("stall=0")
            child.wait()
            c.reset()
            need(image(c, q) == before and c.mem.read(q.cq, PAGE) == cqes, "written after the reset")
            need(not c.read(vfu.CSTS), "CSTS %#x", c.read(vfu.CSTS))
            c.map(0, c.mem.size)
            c.enable()
            c.identify(1)
        wait_for("the port is free", lambda: not device.ports()[0][0][1])
    device.close()


def again():
    """A port that is closed and opened again while its old controller's writes are in a device."""
    device = Device()
    with Slow("stall=1") as slow, Port(2) as port:
        c = Controller(device, 2)
        c.enable()
        q = c.create(1, 32)
        q.put(nvme.WRITE, nsid=2, dptr=prp(c.mem.pages()), **nvme.rw(0, 8))
        q.ring()
        q.good(nvme.READ, nsid=1, dptr=prp(c.mem.pages()), **nvme.rw(0, 8))
        c.close()
        port.unlink()
        port.link()
        need(not device.ports()[0][1][1], "the new port has a controller")
        for _ in range(5):
            fails(errno.EBUSY, device.attach, 2)
            time.sleep(0.05)
        slow.set("stall=0")

        def attach():
            try:
                return device.attach(2)
            except OSError as e:
                need(e.errno == errno.EBUSY, "%s", e)
                return 0
        os.close(wait_for("a controller", attach))
        wait_for("the port is free", lambda: not device.ports()[0][1][1])
    device.close()


def unmapped(c):
    """Has another process's call taken the regions out? Then memory can be mapped where they were."""
    try:
        c.map(0, PAGE)
    except OSError as e:
        need(e.errno == errno.EEXIST, "%s", e)
        return False
    return True


HOST, HOSTID = "nqn.2014-08.org.example:guest", "01020304-0506-0708-090a-0b0c0d0e0f10"
EXHID = 1


def host():
    """Who the guest is: as the administrator says, with the rights of that host."""
    device = Device()
    subsystem = "subsystems/testnqn"
    debug = "/sys/kernel/debug/nvtgt/testnqn/ctrl%d/hostnqn"

    def host_id(c, cdw10=0x81, cdw11=EXHID):
        page = c.mem.pages()
        cqe = c.admin.run(nvme.A_GET_FEATURES, dptr=prp(page), cdw10=cdw10, cdw11=cdw11)
        return cqe.status, c.mem.read(page, 16), cqe.dw0

    def set_id(c, value, cdw11=EXHID):
        page = c.mem.pages()
        c.mem.write(page, value)
        return c.admin.run(nvme.A_SET_FEATURES, dptr=prp(page), cdw10=0x81, cdw11=cdw11).status

    mine, other = bytes(range(1, 17)), bytes(range(2, 18))
    # nobody has said who it is: it may tell an identifier
    with Controller(device) as c:
        c.enable()
        with open(debug % c.info()[3]) as f:
            need(f.read() == "-\n", "the name of a host without one")
        need(host_id(c)[:2] == (0, bytes(16)) and host_id(c, 0x381)[2] == 4, "%s", host_id(c, 0x381))
        need(host_id(c, cdw11=0)[0] == nvme.INVALID_FIELD and set_id(c, mine, 0) == nvme.INVALID_FIELD, "64 bits")
        need(not set_id(c, mine) and host_id(c)[:2] == (0, mine), "an identifier")
        need(host_id(c, 0x181)[:2] == (0, bytes(16)), "the default")
        need(not set_id(c, other) and host_id(c)[:2] == (0, other), "another one")
        c.disable()
        c.enable()
        need(host_id(c)[:2] == (0, bytes(16)), "it is kept over a reset")
    with Port(2, param_hostnqn=HOST, param_hostid=HOSTID) as port:
        fails(errno.EACCES, set_attr, "ports/2/param_hostnqn", "other")
        fails(errno.EACCES, set_attr, "ports/2/param_hostid", HOSTID[:-1] + "f")
        set_attr("ports/2/param_hostid", HOSTID)
        with Controller(device, 2) as c:
            c.enable()
            with open(debug % c.info()[3]) as f:
                need(f.read() == HOST + "\n", "the name")
            for _ in range(2):
                need(host_id(c)[:2] == (0, mine) and host_id(c, 0x381)[2] == 0, "the identifier")
                need(host_id(c, 0x181)[:2] == (0, mine), "the default")
                need(not set_id(c, mine), "the same")
                for wrong in (other, bytes(16)):
                    need(set_id(c, wrong) == nvme.SEQUENCE, "another one")
                need(host_id(c)[:2] == (0, mine), "the identifier has changed")
                c.reset()
                c.enable()
        wait_for("the port is free", lambda: not device.ports()[0][1][1])
        try:
            # a right that is taken away, in both ways
            with Controller(device, 2) as c:
                c.enable()
                need(not c.info()[2] & 1, "it has ended")
                set_attr(subsystem + "/attr_allow_any_host", "0")
                ended(c)
            wait_for("the ports are free", lambda: not any(p[1] for p in device.ports()[0]))
            fails(errno.EACCES, device.attach, 1)
            fails(errno.EACCES, device.attach, 2)
            os.mkdir(CONFIGFS + "/hosts/" + HOST)
            os.symlink(CONFIGFS + "/hosts/" + HOST, CONFIGFS + "/" + subsystem + "/allowed_hosts/" + HOST)
            fails(errno.EACCES, device.attach, 1)
            with Controller(device, 2) as c:
                c.enable()
                q = c.create(1, 32)
                q.good(nvme.READ, nsid=1, dptr=prp(c.mem.pages()), **nvme.rw(0, 8))
                os.unlink(CONFIGFS + "/" + subsystem + "/allowed_hosts/" + HOST)
                ended(c)
                c.write(vfu.CC, 0)
                c.write(vfu.CC, vfu.CC_EN)
                wait_for("CFS", lambda: c.read(vfu.CSTS) & vfu.CFS)
                need(c.read(vfu.CSTS) == vfu.CFS, "a controller that has ended is enabled again")
            os.rmdir(CONFIGFS + "/hosts/" + HOST)
        finally:
            set_attr(subsystem + "/attr_allow_any_host", "1")
        wait_for("the port is free", lambda: not device.ports()[0][1][1])
        # one controller, one subsystem
        os.mkdir(CONFIGFS + "/subsystems/second")
        fails(errno.EBUSY, port.link, "second")
        fails(errno.EEXIST, port.link)
        port.unlink()
        port.link("second")
        fails(errno.EBUSY, port.link)
        port.unlink("second")
        port.link()
        os.rmdir(CONFIGFS + "/subsystems/second")
        # the port goes
        c = Controller(device, 2)
        c.enable()
    ended(c)
    c.close()
    device.close()


def ended(c):
    """The administrator has ended a controller."""
    poll = select.poll()
    poll.register(c.fd, 0)
    need(poll.poll(1000 * vfu.PATIENCE) == [(c.fd, select.POLLHUP)], "poll says nothing")
    need(c.info()[2] & 1, "info does not say that it has ended")
    need(c.read(vfu.CSTS) & vfu.CFS, "CSTS %#x", c.read(vfu.CSTS))


CHUNK = 2 << 20


def adopt():
    """Another process takes a controller over, from one that has died and from one that lives."""
    device = Device()
    mem = Memory(64 << 20)

    def first(sock, ports=(1,)):
        """The process of before: makes controllers, does I/O, gives them away, and waits for its end."""
        fds, states = [], []
        for port in ports:
            c = Controller(device, port, memory=mem)
            c.enable()
            q = c.create(1, 32)
            page = mem.pages()
            for i in range(100):
                q.good(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(i, 8))
            fds.append(c.fd)
            states.append((c.admin.state(), q.state()))
        hand_over(sock, (states, mem.next), *fds)
        sock.recv(1)

    def take_over(child):
        (states, mem.next), fds = child.hear()
        found = []
        for fd, (admin, queue) in zip(fds, states):
            c = Controller(device, memory=mem, fd=fd)
            c.admin = vfu.Queue.restore(c, admin)
            found.append((c, vfu.Queue.restore(c, queue)))
        return found

    def read(q, page, count):
        for i in range(count):
            q.good(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(i, 8))

    # it has died, and the guest has not noticed
    before = locked()
    child = Child(first)
    (c, q), = take_over(child)
    info = c.info()
    need(info[:3] == (1, 16, 2) and info[3] and info[4] == "/run/nvtgt/vm1.sock", "info %s", info)
    need(info[3] == struct.unpack_from("<H", c.identify(1), 78)[0], "the identifier")
    page = mem.pages()
    read(q, page, 20)
    need(locked(child.pid) >= CHUNK, "nothing is charged")
    old = q.tail
    running = [q.put(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(i, 8)) for i in range(20)]
    q.ring(old)
    child.kill()
    for cid in running:
        need(not q.take(cid).status, "a command at the end of the process")
    read(q, page, 50)
    far = [40 << 20, 50 << 20]
    waiting = [q.put(nvme.READ, nsid=1, dptr=prp(gpa), **nvme.rw(8, 8)) for gpa in far]
    q.ring((q.tail - 2) % q.size)
    for _ in range(50):
        c.admin.good(nvme.A_IDENTIFY, dptr=prp(page), cdw10=1)
    need(not q.poll(), "a command in memory that nobody could pin")
    q.put(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(8, 8))	# and one behind them, not rung
    need(locked() == before, "charged before it has adopted")
    c.adopt()
    for cid in waiting:
        cqe = q.take(cid)
        need(not cqe.status, "a command that had waited: %s", cqe)
    q.ring()
    need(not q.take(q.cid).status, "a command that was not rung")
    pinned = locked() - before
    need(pinned == 3 * CHUNK, "%d bytes are charged", pinned)
    c.adopt()
    need(locked() - before == pinned, "charged once more")
    read(q, 30 << 20, 1)
    need(locked() - before == pinned + CHUNK, "a page of the new process's")
    # a region of the same file: what is pinned is found
    c.map(1 << 40, mem.size)
    read(q, (1 << 40) + page, 10)
    need(locked() - before == pinned + CHUNK, "pinned twice")
    c.unmap(1 << 40, mem.size)
    # another process that may not
    size = locked()

    def poor(sock):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (CHUNK, CHUNK))
        os.setgid(65534)
        os.setuid(65534)
        maps = len(open("/proc/self/maps").readlines())
        fails(errno.ENOMEM, c.adopt)
        need(not locked(), "charged in spite of the error")
        wait_for("the mapping is gone", lambda: len(open("/proc/self/maps").readlines()) <= maps)
    Child(poor).wait()
    need(locked() == size, "not charged any more")
    read(q, 20 << 20, 5)
    os.close(c.fd)
    wait_for("nothing is charged", lambda: locked() == before)
    wait_for("the port is free", lambda: not device.ports()[0][0][1])

    # two controllers with the same memory, of a process that lives
    with Port(2):
        child = Child(first, (1, 2))
        (one, q1), (two, q2) = take_over(child)
        charged = locked(child.pid)
        maps = "/proc/%d/maps" % child.pid
        nr = len(open(maps).readlines())
        one.adopt()
        need(locked() - before == charged and not locked(child.pid), "moved: %d %d %d", charged,
             locked() - before, locked(child.pid))
        two.adopt()
        need(locked() - before == charged, "moved twice")
        wait_for("the mapping is gone", lambda: len(open(maps).readlines()) < nr)
        os.kill(child.pid, signal.SIGKILL)
        child.wait(-signal.SIGKILL)
        for ctrl, q in (one, q1), (two, q2):
            read(q, 30 << 20, 10)
            read(q, 44 << 20, 10)
            ctrl.admin.good(nvme.A_IDENTIFY, dptr=prp(mem.pages()), cdw10=1)
            os.close(ctrl.fd)
        wait_for("nothing is charged", lambda: locked() == before)
        wait_for("the ports are free", lambda: not any(p[1] for p in device.ports()[0]))

    # a command waits for memory while its namespace gets another device
    with Slow("delay_us=0") as slow:
        child = Child(first)
        (c, q), = take_over(child)
        child.kill()
        cid = q.put(nvme.READ, nsid=2, dptr=prp(36 << 20), **nvme.rw(0, 8))
        q.ring()
        wait_for("the command waits", lambda: " memory 1" in connections())
        set_attr(slow.dir + "/enable", "0")
        set_attr(slow.dir + "/enable", "1")
        c.adopt()
        cqe = q.take(cid)
        need(cqe.status == vfu.NS_NOT_READY and not cqe.dnr, "for another device: %s", cqe)
        q.good(nvme.READ, nsid=2, dptr=prp(36 << 20), **nvme.rw(0, 8))
        os.close(c.fd)
        wait_for("the port is free", lambda: not device.ports()[0][0][1])
    mem.close()
    device.close()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
