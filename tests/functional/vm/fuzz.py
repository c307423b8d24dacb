#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
/dev/nvtgt-vfu under random calls, random queue memory and random doorbells, from threads and from processes
that are killed. Two ports: threads share the controller of port 1, that of port 2 goes from process to process.
Nothing is checked on the way, but that calls end; afterwards the target has to serve a guest as before.
"""

import array
import ctypes
import fcntl
import os
import random
import signal
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
import vfu  # noqa: E402
from nvmetcp import nvme  # noqa: E402
from vfu import PAGE, Controller, Device, Memory, need, prp, sgl, wait_for  # noqa: E402

SIZE = 16 << 20
# no address that the process has: what the kernel would write there hits nothing
NOWHERE = (0, 1, PAGE - 1, 1 << 47, (1 << 47) - PAGE, 1 << 63, 2 ** 64 - 1, 2 ** 64 - 8, 0xFFFFFFFF80000000)
ODD = (0, 1, 2, 3, 4, 7, 8, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
ADMIN = (0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0A, 0x0C, 0x18, 0x7C, 0x7F, 0xC0)
IO = (0x00, 0x01, 0x02, 0x04, 0x05, 0x08, 0x09, 0x0C, 0x7F)
REQUESTS = {vfu.MAP: "QQQiI", vfu.UNMAP: "QQII", vfu.REG_READ: "IIQ", vfu.REG_WRITE: "IIQ", vfu.SET_IRQ: "Ii",
            vfu.RESET: "", vfu.ADOPT: "", vfu.INFO: "272s", vfu.PORTS: "IIQ", vfu.ATTACH: "HHI"}
WIDTH = {"Q": 64, "I": 32, "i": 32, "H": 16}


class Fuzz:
    """Random values that are often near to right ones."""

    def __init__(self, seed, name, mem):
        self.random = random.Random("%d %s" % (seed, name))
        self.mem = mem

    def number(self, bits):
        r = self.random
        kind = r.random()
        if kind < 0.4:
            value = r.choice(ODD)
        elif kind < 0.7:
            value = r.randrange(64) << r.randrange(bits)
        elif kind < 0.9:
            value = self.gpa()
        else:
            value = r.getrandbits(bits)
        return (value + r.choice((0, 0, 0, 1, -1))) & (2 ** bits - 1)

    def gpa(self):
        r = self.random
        at = r.randrange(SIZE // PAGE) * PAGE
        kind = r.random()
        if kind < 0.8:
            return at
        if kind < 0.9:
            return at + r.randrange(PAGE)
        return r.choice((SIZE, SIZE - 1, 1 << 40, 2 ** 64 - PAGE, 2 ** 64 - 1, r.getrandbits(64)))

    def dptr(self):
        r = self.random
        if r.random() < 0.7:
            return prp(self.gpa(), r.choice((0, self.gpa(), self.gpa())))
        return sgl(self.gpa(), r.choice((512, PAGE, 16, 64, 48, self.number(32))), r.choice((0, 0x20, 0x30, 0x40, 0x5A)))

    def command(self, admin):
        r = self.random
        fields = {"nsid": r.choice((0, 1, 1, 2, 2, 3, 2 ** 32 - 1)), "dptr": self.dptr(),
                  "flags": r.choice((0, 0, 0, 0x40, 0x80, 1, r.getrandbits(8)))}
        opcode = r.choice(ADMIN if admin else IO)
        if admin:
            fields["cdw10"] = r.choice((r.randrange(0x20), r.choice((1, 31, 63, 1023)) << 16 | r.randrange(4),
                                        r.randrange(0x90), self.number(32)))
            fields["cdw11"] = r.choice((1, 3, r.randrange(4) << 16 | r.randrange(4), self.number(32)))
        else:
            fields.update(nvme.rw(r.choice((0, 8, 1 << 20, self.number(64))), r.choice((1, 8, 16, 64, 2048, 2049))))
        for dword in range(12, 16):
            if r.random() < 0.05:
                fields["cdw%d" % dword] = self.number(32)
        if r.random() < 0.05:
            return r.randbytes(64)
        return nvme.sqe(opcode, r.choice((r.randrange(16), r.getrandbits(16))), **fields)

    def argument(self, request, fds):
        r = self.random
        values = []
        for kind in REQUESTS[request].replace("272s", ""):
            values.append(r.choice(fds + [-1, -1, 0, 99999]) if kind == "i" else self.number(WIDTH[kind]))
        if request == vfu.MAP and r.random() < 0.7:
            at, size = r.randrange(SIZE // PAGE) * PAGE, r.choice((PAGE, 16 * PAGE, 2 << 20, SIZE))
            values = [at, size, r.choice((at, 0)), r.choice((self.mem.fd, self.mem.fd, -1)), r.choice((3, 3, 1, 0))]
        elif request == vfu.UNMAP and r.random() < 0.7:
            values = r.choice([[self.gpa(), PAGE, 0, 0]] * 8 + [[0, SIZE, 0, 0], [0, 0, 1, 0]])
        elif request in (vfu.REG_READ, vfu.REG_WRITE) and r.random() < 0.8:
            offset = r.choice((0, 8, 0xC, 0x10, 0x14, 0x1C, 0x24, 0x28, 0x30, 0x68, *range(0x1000, 0x1020, 4)))
            values = [offset, r.choice((4, 4, 8)), self.number(32)]
            if offset == vfu.CC:
                values[2] = r.choice((0, vfu.CC_EN, vfu.CC_EN, vfu.CC_EN | 1 << 14, vfu.CC_EN | 1 << 15, self.number(32)))
        elif request == vfu.PORTS:
            # never an address of the process but the room that there is
            values = [r.randrange(16), self.number(32), r.choice((ctypes.addressof(ROOM), *NOWHERE))]
        elif request == vfu.ATTACH:
            values = [r.choice((1, 1, 1, 3, self.number(16))), r.choice((1, 4, 16, 2048, self.number(16))),
                      r.choice((0, 0, 0, self.number(32)))]
        return bytearray(struct.pack("=" + REQUESTS[request].replace("272s", ""), *values).ljust(512, b"\0"))

    def call(self, fd, request, fds):
        """One call, whatever it says. Returns what it returned, or None."""
        r = self.random
        argument = self.argument(request, fds)
        kind = r.random()
        if kind < 0.03:
            request = request & ~(0x3FFF << 16) | r.choice((0, 8, 24, 272, 0x3FFF)) << 16
        elif kind < 0.05:
            request = vfu._ioc(r.randrange(4), r.randrange(0x20), r.choice((0, 8, 16, 24, 32)))
        elif kind < 0.08:
            argument = r.choice(NOWHERE)
        elif kind < 0.1:
            argument = bytearray(r.randbytes(512)) if request != vfu.PORTS else argument
        if (request & 0xFF) == 0 and not isinstance(argument, int):
            struct.pack_into("=Q", argument, 8, r.choice((ctypes.addressof(ROOM), *NOWHERE)))
            struct.pack_into("=I", argument, 0, r.randrange(16))
        try:
            return fcntl.ioctl(fd, request, argument)
        except (OSError, OverflowError):
            return None


ROOM = ctypes.create_string_buffer(64 * vfu.PORT.size)


class Shared:
    """The controller of port 1, which threads use, close and make again."""

    def __init__(self, seed, mem, end):
        self.seed, self.mem, self.end = seed, mem, end
        self.device = Device()
        self.fd = -1
        self.calls = 0

    def running(self):
        return time.monotonic() < self.end

    def attach(self):
        try:
            self.fd = self.device.attach(1, 16)
        except OSError:
            self.fd = -1
            time.sleep(0.01)

    def owner(self, fuzz):
        """Makes the controller, sets it up, closes it."""
        r = fuzz.random
        while self.running():
            self.attach()
            if self.fd < 0:
                continue
            until = min(self.end, time.monotonic() + r.choice((0.001, 0.01, 0.1, 1, 3)))
            while time.monotonic() < until:
                self.set_up(fuzz)
                time.sleep(r.choice((0, 0.001, 0.05)))
            fd, self.fd = self.fd, -1
            os.close(fd)

    def set_up(self, fuzz):
        """As a guest does, as far as others let it: an admin queue, and two I/O queues."""
        r = fuzz.random
        try:
            c = Controller(self.device, memory=self.mem, fd=self.fd)
            try:
                c.map(0, SIZE)
            except OSError:
                pass
            c.write(vfu.CC, 0)
            time.sleep(0.002)
            c.write(vfu.AQA, 31 << 16 | 31)
            c.write(vfu.ASQ, 0, 8)
            c.write(vfu.ACQ, PAGE, 8)
            c.write(vfu.CC, vfu.CC_EN)
            for _ in range(20):
                if c.read(vfu.CSTS) & vfu.RDY:
                    break
                time.sleep(0.002)
            entries = [nvme.sqe(vfu.A_DBBUF, 1, flags=0, dptr=prp(6 * PAGE, 7 * PAGE))] if r.random() < 0.5 else []
            for qid in 1, 2:
                entries.append(nvme.sqe(vfu.A_CREATE_CQ, 2, flags=0, dptr=prp((2 * qid + 1) * PAGE),
                                        cdw10=63 << 16 | qid, cdw11=qid << 16 | 3))
                entries.append(nvme.sqe(vfu.A_CREATE_SQ, 3, flags=0, dptr=prp(2 * qid * PAGE),
                                        cdw10=63 << 16 | qid, cdw11=qid << 16 | 1))
            self.mem.write(0, b"".join(entries))
            c.write(0x1000, len(entries))
        except OSError:
            pass

    def caller(self, fuzz):
        """Random calls."""
        fds = [self.mem.fd, ctypes.CDLL(None).eventfd(0, os.O_NONBLOCK)]
        while self.running():
            request = fuzz.random.choice([q for q in REQUESTS if q not in (vfu.PORTS, vfu.ATTACH)])
            if request == vfu.RESET and fuzz.random.random() < 0.8:
                continue
            if self.fd >= 0:
                fuzz.call(self.fd, request, fds)
            got = fuzz.call(self.device.fd, fuzz.random.choice((vfu.PORTS, vfu.PORTS, vfu.ATTACH)), fds)
            if got:
                fuzz.call(got, fuzz.random.choice((vfu.MAP, vfu.RESET, vfu.ADOPT)), fds)
                os.close(got)
            self.calls += 1

    def guest(self, fuzz):
        """Random memory of queues and doorbells."""
        r = fuzz.random
        while self.running():
            qid = r.randrange(3)
            if r.random() < 0.3:
                self.mem.write(r.randrange(64) * PAGE, r.randbytes(PAGE) if r.random() < 0.3 else
                               b"".join(struct.pack("<Q", fuzz.gpa()) for _ in range(512)))
            for i in range(r.choice((0, 4, 32, 64))):
                self.mem.write(2 * qid * PAGE + i % (64 if qid else 32) * 64, fuzz.command(not qid))
            for _ in range(r.randrange(4)):
                at, value = (2 * qid + r.randrange(2)) * 4, r.choice((r.randrange(64), r.randrange(64), fuzz.number(32)))
                if r.random() < 0.3:
                    self.mem.set_word(r.choice((6, 7)) * PAGE + at, value)
                    continue
                try:
                    fcntl.ioctl(self.fd, vfu.REG_WRITE, struct.pack("=IIQ", 0x1000 + at, 4, value))
                except (OSError, ValueError):
                    time.sleep(0.001)
            self.calls += 1


def threads(seed, end):
    mem = Memory(SIZE)
    shared = Shared(seed, mem, end)
    jobs = [(shared.owner, 1), (shared.caller, 3), (shared.guest, 3)]
    todo = [threading.Thread(target=job, args=(Fuzz(seed, "%s%d" % (job.__name__, i), mem),))
            for job, nr in jobs for i in range(nr)]
    for thread in todo:
        thread.start()
    for thread in todo:
        thread.join()
    print("%d rounds of the threads" % shared.calls)
    # not through exit handlers: the memory is still exported to views
    sys.stdout.flush()


def maker(sock, device, mem, fuzz):
    """Makes the controller of port 2, uses it, gives it away, and is killed."""
    c = Controller(device, 2, memory=mem)
    mem.next = 0
    mem.write(0, bytes(64 * PAGE))
    c.enable()
    q = c.create(1, 32)
    q.good(nvme.READ, nsid=1, dptr=prp(mem.pages()), **nvme.rw(0, 8))
    sock.sendmsg([b"1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [c.fd]))])
    while True:
        q.put(fuzz.random.choice((nvme.READ, nvme.WRITE)), nsid=fuzz.random.choice((1, 2)),
              dptr=prp(fuzz.random.randrange(64, SIZE // PAGE) * PAGE), **nvme.rw(0, 8))
        q.ring()
        q.poll()


def processes(seed, end):
    """A controller that outlives the processes which use it."""
    mem, rounds = Memory(SIZE), 0
    device = Device()
    fuzz = Fuzz(seed, "processes", mem)
    r = fuzz.random
    while time.monotonic() < end:
        ours, other = socket.socketpair()
        pid = os.fork()
        if not pid:
            fuzz.random = random.Random(r.random())
            try:
                maker(other, device, mem, fuzz)
            except BaseException:
                os._exit(1)
        fuzz.random = r = random.Random(r.random())
        other.close()
        data, rights, _, _ = ours.recvmsg(1, 64)
        time.sleep(r.choice((0, 0, 0.001, 0.02, 0.1)))
        if r.random() < 0.8:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            pid = 0
        fds = []
        for _, _, content in rights:
            fds += array.array("i", content)
        for fd in fds:
            for _ in range(r.choice((0, 1, 2, 20))):
                fuzz.call(fd, r.choice((vfu.ADOPT, vfu.ADOPT, vfu.INFO, vfu.MAP, vfu.UNMAP, vfu.REG_WRITE)), [mem.fd])
            os.close(fd)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        ours.close()
        rounds += 1
        wait_for("port 2 is free", lambda: not device.ports()[0][1][1])
    print("%d rounds of the processes" % rounds)
    sys.stdout.flush()


def normal():
    """What a guest does, on both ports."""
    device = Device()
    for port in 1, 2:
        wait_for("port %d is free" % port, lambda: not device.ports()[0][port - 1][1])
        with Controller(device, port) as c:
            c.enable()
            q = c.create(1, 64, vector=1)
            c.irq(1)
            for i in range(100):
                out = os.urandom(2 * PAGE)
                page, back = c.mem.pages(2), c.mem.pages(2)
                c.mem.write(page, out)
                q.good(nvme.WRITE, nsid=1, dptr=prp(page, page + PAGE), **nvme.rw(16 * i, 16))
                q.good(nvme.READ, nsid=1, dptr=prp(back, back + PAGE), **nvme.rw(16 * i, 16))
                need(c.mem.read(back, 2 * PAGE) == out, "what was read is not what was written")
            need(c.signalled(1), "no interrupt")
            need(c.identify(1)[111] == 1, "Identify Controller")
            c.disable()


def main():
    seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2 ** 32))
    seconds = int(sys.argv[1])
    print("FUZZ_SEED=%d, %d seconds" % (seed, seconds))
    sys.stdout.flush()
    end = time.monotonic() + seconds
    children = []
    for job in threads, processes:
        pid = os.fork()
        if not pid:
            status = 1
            try:
                job(seed, end)
                status = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(status)
        children.append((pid, job.__name__))
    for pid, name in children:
        status = os.waitpid(pid, 0)[1]
        need(not status, "%s: status %#x", name, status)
    normal()


if __name__ == "__main__":
    main()
