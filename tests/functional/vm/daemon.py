#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A virtual machine's process on a socket of nvtgt-vfud: the protocol, right and wrong, and PCI."""

import errno
import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
import vfiouser as vu  # noqa: E402
import vfu  # noqa: E402
from nvmetcp import nvme  # noqa: E402
from vfu import PAGE, Device, Memory, fails, need, prp, wait_for  # noqa: E402

SOCKET = "/run/nvtgt/vm1.sock"
READY, STOP = "/run/nvtgt/ready", "/run/nvtgt/stop"


def client(hello=True):
    c = vu.Client(SOCKET)
    if hello:
        c.hello()
    return c


def hangs_up(c):
    """The daemon closes the connection."""
    try:
        while c.sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    c.close()


def capabilities(config):
    """{id: offset}"""
    found, at = {}, config[0x34]
    while at:
        need(0x40 <= at < 0x100 and at % 4 == 0 and config[at] not in found, "a capability at %#x", at)
        found[config[at]] = at
        at = config[at + 1]
    return found


def pci():
    """What a guest's firmware and driver ask of a PCI function."""
    c = client()
    argsz, flags, regions, irqs = struct.unpack("=IIII", c.call(vu.GET_INFO, struct.pack("=IIII", 16, 0, 0, 0)))
    need((argsz, flags, regions, irqs) == (16, 3, 9, 5), "the device: %d %#x %d %d", argsz, flags, regions, irqs)
    sizes = {}
    for i in range(9):
        got = struct.unpack("=IIIIQQ", c.call(vu.GET_REGION_INFO, struct.pack("=IIIIQQ", 32, 0, i, 0, 0, 0)))
        need(got[0] == 32 and got[2] == i and got[5] == 0, "region %d: %s", i, got)
        need(bool(got[4]) == bool(got[1]) and got[1] in (0, 3), "region %d: %s", i, got)
        sizes[i] = got[4]
    need(sizes[vu.BAR0] == 16384 and sizes[vu.CONFIG] == 4096 and not sizes[6] and not sizes[8], "%s", sizes)
    counts = {}
    for i in range(5):
        got = struct.unpack("=IIII", c.call(vu.GET_IRQ_INFO, struct.pack("=IIII", 16, 0, i, 0)))
        need(got[1] == (1 if got[3] else 0), "interrupts %d: %s", i, got)
        counts[i] = got[3]
    need(not counts[vu.INTX] and not counts[vu.MSI] and counts[vu.ERR] == counts[vu.REQ] == 1, "%s", counts)

    config = c.read(vu.CONFIG, 0, 256)
    need(config[9:12] == b"\x02\x08\x01" and config[0x0E] == 0, "class %s", config[9:12])
    need(config[0x3D] == 0, "an INTx pin")
    caps = capabilities(config)
    need(set(caps) == {0x01, 0x10, 0x11}, "capabilities %s", caps)
    msix = caps[0x11]
    size, table, pba = struct.unpack_from("<HII", config, msix + 2)
    size += 1
    need(size == counts[vu.MSIX] and table == vu.BAR4 and pba & 7 == vu.BAR4, "MSI-X %d %#x %#x", size, table, pba)
    need(pba & ~7 >= size * 16 and (pba & ~7) + (size + 63) // 64 * 8 <= sizes[vu.BAR4], "MSI-X %#x", pba)
    need(struct.unpack_from("<I", config, caps[0x10] + 4)[0] >> 28 & 1, "no function level reset")
    need(config[0x100 - 1] == 0 and not any(c.read(vu.CONFIG, 256, 4096 - 256)), "extended capabilities")

    # how large a BAR is, as firmware finds out
    for bar, region in ((0x10, vu.BAR0), (0x20, vu.BAR4)):
        c.write(vu.CONFIG, bar, b"\xff\xff\xff\xff")
        value = struct.unpack("<I", c.read(vu.CONFIG, bar, 4))[0]
        need((~(value & ~0xF) & 0xFFFFFFFF) + 1 == sizes[region], "BAR at %#x: %#x", bar, value)
    need(config[0x10] & 7 == 4 and config[0x20] & 7 == 0, "kinds of BAR")
    # what is not to be written stays
    for at in list(range(0, 4)) + [6, 8, 9, 10, 11, 14, 0x14 + 4, 0x18, 0x1C, 0x2C, 0x2E, 0x30, 0x34, 0x3D,
                                   msix, msix + 2, msix + 4, msix + 8, caps[1], caps[1] + 2, caps[0x10] + 4, 0xFFF]:
        old = c.read(vu.CONFIG, at, 1)
        c.write(vu.CONFIG, at, bytes([old[0] ^ 0xFF]))
        need(c.read(vu.CONFIG, at, 1) == old, "byte %#x can be written", at)
    c.write(vu.CONFIG, 4, b"\x46\x05")
    need(c.read(vu.CONFIG, 4, 2) == b"\x46\x05", "the command register")
    c.write(vu.CONFIG, msix + 2, b"\xff\xff")
    need(struct.unpack("<H", c.read(vu.CONFIG, msix + 2, 2))[0] == 0xC000 | size - 1, "MSI-X control")
    # the table is the guest's, and the pending bits are not
    c.write(vu.BAR4, 16, b"\x12\x34\x56\x78")
    need(c.read(vu.BAR4, 16, 4) == b"\x12\x34\x56\x78", "the MSI-X table")
    c.write(vu.BAR4, pba & ~7, b"\xff" * 8)
    need(c.read(vu.BAR4, pba & ~7, 8) == bytes(8), "the pending bits")
    need(c.read(vu.BAR4, size * 16 - 16, 16) == bytes(16), "the table's end")
    # bytes and words of a register
    whole = c.read(vu.BAR0, 0, 8)
    for offset, count in ((0, 1), (1, 1), (3, 2), (2, 6), (5, 3), (0, 16)):
        need(c.read(vu.BAR0, offset, count)[:8 - offset] == whole[offset:offset + count], "CAP at %d", offset)
    need(len(c.read(vu.BAR0, 0, 16384)) == 16384, "the whole BAR")
    for region, offset, count in ((0, 16384, 4), (0, 16383, 2), (0, 0, 0), (7, 4096, 1), (1, 0, 4), (9, 0, 4),
                                  (8, 0, 1), (6, 0, 4), (0xFFFFFFFF, 0, 4), (0, 2 ** 64 - 1, 4), (0, 0, 2 ** 32 - 1),
                                  (0, 0, 16385)):
        fails(errno.EINVAL, c.call, vu.REGION_READ, struct.pack("=QII", offset, region, count))
    c.close()


def protocol():
    """How a conversation begins; what is refused, and what ends it."""
    text = struct.pack("=HH", 0, 0)
    # an answer that is no longer than the question
    c = client(False)
    need(len(c.call(vu.VERSION, text)) == 4, "a version without JSON")
    c.close()
    c = client(False)
    need(b"max_msg_fds" in c.call(vu.VERSION, struct.pack("=HH", 0, 7) + vu.CAPS), "a newer minor")
    fails(errno.EINVAL, c.call, vu.VERSION, text)
    fails(errno.ENOTSUP, c.call, 99)
    fails(errno.ENOTSUP, c.call, vu.GET_REGION_IO_FDS, bytes(16))
    fails(errno.ENOTSUP, c.call, vu.FEATURE, bytes(16))
    fails(errno.ENOTSUP, c.call, 0)
    c.call(vu.GET_INFO, struct.pack("=IIII", 16, 0, 0, 0))
    c.close()
    for payload in (struct.pack("=HH", 1, 0), struct.pack("=HH", 0, 0) + b"x\0", struct.pack("=HH", 0, 0) + b"{}",
                    struct.pack("=HH", 0, 0) + b"{}\0\0", struct.pack("=HH", 0, 0) + b"[" * 100 + b"\0", b"\0\0",
                    struct.pack("=HH", 0, 0) + b'"a"\0', struct.pack("=HH", 0, 0) + b"{" * 30000 + b"\0"):
        c = client(False)
        fails(errno.EINVAL, c.call, vu.VERSION, payload)
        hangs_up(c)
    for cmd in (vu.GET_INFO, vu.RESET, vu.REGION_READ, 99):
        c = client(False)
        fails(errno.EINVAL, c.call, cmd, bytes(32))
        hangs_up(c)
    # a size that cannot be: where the next message begins nobody knows
    for size in (0, 1, 15):
        c = client()
        c.send(vu.GET_INFO, size=size)
        hangs_up(c)
    # a message that is too long is refused as one
    c = client()
    fails(errno.E2BIG, c.call, vu.REGION_WRITE, struct.pack("=QII", 0, 0, 4 << 20) + bytes(4 << 20))
    c.call(vu.GET_INFO, struct.pack("=IIII", 16, 0, 0, 0))
    # a reply to nothing
    fails(errno.EINVAL, c.call, vu.GET_INFO, flags=vu.REPLY)
    # no answer, right or wrong, where none is wanted
    for cmd in (vu.RESET, 99, vu.REGION_WRITE):
        c.send(cmd, flags=vu.NO_REPLY)
    c.call(vu.GET_INFO, struct.pack("=IIII", 16, 0, 0, 0))
    # more file descriptors than may come with a message
    fds = [os.dup(0) for _ in range(17)]
    c.send(vu.GET_INFO, struct.pack("=IIII", 16, 0, 0, 0), fds)
    hangs_up(c)
    for fd in fds:
        os.close(fd)


def messages():
    """Each message with what is wrong in it."""
    mem = Memory(1 << 20)
    c = client()
    event = __import__("ctypes").CDLL(None).eventfd(0, os.O_NONBLOCK)

    def dma(argsz=32, flags=3, offset=0, addr=0, size=1 << 20):
        return struct.pack("=IIQQQ", argsz, flags, offset, addr, size)

    def irqs(argsz=20, flags=0x24, index=vu.MSIX, start=0, count=1):
        return struct.pack("=IIIII", argsz, flags, index, start, count)

    for payload, fds in ((dma()[:31], [mem.fd]), (dma(argsz=31), [mem.fd]), (dma(flags=4), [mem.fd]),
                         (dma(), [mem.fd, mem.fd]), (dma(size=0), [mem.fd]), (dma(size=4097), [mem.fd]),
                         (dma(addr=1), [mem.fd]), (dma(offset=1), [mem.fd]), (dma(offset=PAGE), [mem.fd]),
                         (dma(size=2 << 20), [mem.fd]), (dma(addr=2 ** 64 - PAGE, size=2 * PAGE), []), (b"", [])):
        fails(errno.EINVAL, c.call, vu.DMA_MAP, payload, fds)
    c.call(vu.DMA_MAP, dma(), [mem.fd])
    fails(errno.EEXIST, c.call, vu.DMA_MAP, dma(), [mem.fd])
    # what is no memory is there for the guest's processors, and not for the controller
    for i, path in enumerate(("/dev/zero", "/proc/self/exe", "/")):
        fd = os.open(path, os.O_RDONLY)
        c.call(vu.DMA_MAP, dma(addr=(i + 1) << 30), [fd])
        os.close(fd)
    c.call(vu.DMA_MAP, dma(addr=9 << 30, offset=12345), [])
    for addr, size, flags, error in ((0, PAGE, 0, errno.ENOENT), (5 << 30, PAGE, 0, errno.ENOENT),
                                     (0, 0, 0, errno.EINVAL), (1, PAGE, 0, errno.EINVAL),
                                     (0, 1 << 20, 1, errno.ENOTSUP), (0, 1 << 20, 4, errno.ENOTSUP),
                                     (PAGE, 0, 2, 0), (2 ** 64 - PAGE, 2 * PAGE, 0, errno.EINVAL)):
        payload = struct.pack("=IIQQ", 24, flags, addr, size)
        if error:
            fails(error, c.call, vu.DMA_UNMAP, payload)
        else:
            need(c.call(vu.DMA_UNMAP, payload) == payload, "unmap")
    fails(errno.EINVAL, c.call, vu.DMA_UNMAP, struct.pack("=IIQQ", 23, 0, 0, 1 << 20))
    fails(errno.EINVAL, c.call, vu.DMA_UNMAP, bytes(8))

    for cmd, payload in ((vu.GET_INFO, b""), (vu.GET_INFO, struct.pack("=IIII", 15, 0, 0, 0)),
                         (vu.GET_REGION_INFO, bytes(31)), (vu.GET_REGION_INFO, struct.pack("=IIIIQQ", 31, 0, 0, 0, 0, 0)),
                         (vu.GET_REGION_INFO, struct.pack("=IIIIQQ", 32, 0, 9, 0, 0, 0)),
                         (vu.GET_IRQ_INFO, bytes(15)), (vu.GET_IRQ_INFO, struct.pack("=IIII", 15, 0, 0, 0)),
                         (vu.GET_IRQ_INFO, struct.pack("=IIII", 16, 0, 5, 0)), (vu.SET_IRQS, bytes(19)),
                         (vu.REGION_READ, bytes(15)), (vu.REGION_WRITE, bytes(15)),
                         (vu.REGION_WRITE, struct.pack("=QII", 0x14, 0, 4) + bytes(3)),
                         (vu.REGION_WRITE, struct.pack("=QII", 0x14, 0, 4) + bytes(5)),
                         (vu.REGION_WRITE, struct.pack("=QII", 16384, 0, 4) + bytes(4)),
                         (vu.WRITE_MULTI, b""), (vu.WRITE_MULTI, struct.pack("=Q", 1)),
                         (vu.WRITE_MULTI, struct.pack("=Q", 2 ** 63) + bytes(24)),
                         (vu.WRITE_MULTI, struct.pack("=QQII", 1, 0x24, 0, 9) + bytes(8)),
                         (vu.WRITE_MULTI, struct.pack("=QQII", 1, 0x4000, 0, 4) + bytes(8))):
        fails(errno.EINVAL, c.call, cmd, payload)
    for wrong, fds in ((irqs(argsz=19), [event]), (irqs(flags=0x21), []), (irqs(flags=0x22), []),
                       (irqs(flags=0x0C), [event]), (irqs(flags=0x14), [event]), (irqs(flags=0), []),
                       (irqs(index=5), [event]), (irqs(index=vu.INTX), [event]), (irqs(index=vu.MSI), [event]),
                       (irqs(start=4000), [event]), (irqs(start=2 ** 32 - 1, count=2), [event, event]),
                       (irqs(count=2 ** 32 - 1), []), (irqs(count=2), [event]), (irqs(count=0), []),
                       (irqs(start=1, count=2 ** 32 - 1), []), (irqs(), [mem.fd])):
        fails(errno.EINVAL, c.call, vu.SET_IRQS, wrong, fds)
    c.call(vu.SET_IRQS, irqs(start=1, count=3), [event] * 3)
    c.call(vu.SET_IRQS, irqs(start=1, count=3))
    for index in (vu.ERR, vu.REQ):
        c.call(vu.SET_IRQS, irqs(index=index), [event])
    for index in range(5):
        c.call(vu.SET_IRQS, irqs(flags=0x21, index=index, count=0))
    # several writes at once: AQA and CC, and what reads back
    several = b"".join(struct.pack("=QIIQ", at, 0, 4, value) for at, value in ((0x24, 0x10001), (0x28, 0x5000)))
    need(c.call(vu.WRITE_MULTI, struct.pack("=Q", 2) + several) == struct.pack("=Q", 2), "several writes")
    need(struct.unpack("<I", c.read(vu.BAR0, 0x24, 4))[0] == 0x10001, "AQA")
    need(struct.unpack("<I", c.read(vu.BAR0, 0x28, 4))[0] == 0x5000, "ASQ")
    c.close()
    os.close(event)
    mem.close()


def partial():
    """A message in pieces; a client that goes in the middle of one; rubbish."""
    c = client()
    raw = vu.HDR.pack(7, vu.GET_INFO, 32, 0, 0) + struct.pack("=IIII", 16, 0, 0, 0)
    for i in range(len(raw)):
        c.sock.send(raw[i:i + 1])
    need(c.reply()[:3] == (7, vu.GET_INFO, 0), "a message in pieces")
    c.sock.sendall(raw * 100)
    for _ in range(100):
        need(c.reply()[:3] == (7, vu.GET_INFO, 0), "many messages at once")
    c.close()
    for cut in (0, 1, 15, 16, 17, 31):
        client(False).close()
        c = client()
        c.send(vu.GET_INFO, struct.pack("=IIII", 16, 0, 0, 0), [0], cut=cut)
        c.close()
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(200):
        c = client(rng.random() < 0.8)
        try:
            for _ in range(rng.randrange(1, 20)):
                size = rng.choice((0, 4, 16, 20, 24, 32, 40, 100))
                payload = bytes(rng.choice((0, 0, 0, 1, 2, 4, 16, 32, 255)) for _ in range(size))
                c.send(rng.choice(list(range(18)) + [65535]), payload, [0] * rng.choice((0, 0, 0, 1, 2)),
                       flags=rng.choice((0, 0, 0, vu.NO_REPLY, 0xFF)))
        except (BrokenPipeError, ConnectionResetError):
            pass
        c.close()


def second():
    """A second client is refused at once, and the first does not notice."""
    c = client()
    other = vu.Client(SOCKET)
    begin = time.monotonic()
    hangs_up(other)
    need(time.monotonic() - begin < vfu.PATIENCE / 2, "the second client had to wait")
    c.call(vu.GET_INFO, struct.pack("=IIII", 16, 0, 0, 0))
    c.close()


def reset():
    """Function level reset, bus master off, DEVICE_RESET: commands in flight, and a new beginning."""
    device = Device()
    for how in ("flr", "master", "device", "device twice"):
        with vu.Controller(device) as c:
            conf = c.client.read(vu.CONFIG, 0, 256)
            exp = capabilities(conf)[0x10]
            c.client.write(vu.CONFIG, 4, b"\x06\x00")
            c.client.write(vu.CONFIG, 0x3C, b"\x0b")
            c.enable()
            q = c.create(1, 64)
            page = c.mem.pages(8)
            for i in range(40):
                q.put(nvme.READ, nsid=1, dptr=prp(page), **nvme.rw(i, 8))
            q.ring(0)
            if how == "flr":
                c.client.write(vu.CONFIG, exp + 8, b"\x00\x80")
            elif how == "master":
                c.client.write(vu.CONFIG, 4, b"\x02\x00")
            else:
                for _ in how.split():
                    c.client.call(vu.RESET)
            need(not c.read(vfu.CC) and not c.read(vfu.CSTS) & vfu.RDY, "%s: the controller is enabled", how)
            if how != "master":
                need(c.client.read(vu.CONFIG, 4, 2) == b"\0\0", "%s: the command register", how)
                need(c.client.read(vu.CONFIG, 0x3C, 1) == b"\0", "%s: the interrupt line", how)
                need(c.read(vfu.AQA) == 0, "%s: AQA", how)
            need(not c.client.read(vu.CONFIG, exp + 8, 2)[1] & 0x80, "the bit of a function level reset stays")
            seen = c.mem.read(q.cq, PAGE)
            c.client.write(vu.CONFIG, 4, b"\x06\x00")
            c.enable()
            c.identify(1)
            need(c.mem.read(q.cq, PAGE) == seen, "%s: completions after the reset", how)
        wait_for("the port is free", lambda: not device.ports()[0][0][1])
    device.close()


def private():
    """Guest memory that nobody shares."""
    c = client()
    c.call(vu.DMA_MAP, struct.pack("=IIQQQ", 32, 3, 0, 0, 64 << 20))
    c.write(vu.BAR0, vfu.AQA, struct.pack("<I", 0x1F001F))
    c.write(vu.BAR0, vfu.ASQ, struct.pack("<QQ", 0x1000, 0x2000))
    c.write(vu.BAR0, vfu.CC, struct.pack("<I", vfu.CC_EN))
    wait_for("CFS", lambda: c.read(vu.BAR0, vfu.CSTS, 4)[0] & vfu.CFS)
    c.close()


def refused():
    """A host that the subsystem does not allow."""
    c = client(False)
    fails(errno.EACCES, c.hello)
    hangs_up(c)


def pulled():
    """The administrator takes the port away."""
    device = Device()
    with vu.Controller(device) as c:
        c.enable()
        c.identify(1)
        with open(READY, "w", encoding="ascii") as f:
            f.write("1\n")
        wait_for("reads of ones", lambda: c.read(vfu.CSTS) == 0xFFFFFFFF)
        need(c.read(vfu.CAP, 8) == 2 ** 64 - 1, "CAP of a device that is gone")
        # QEMU goes on: nothing of it is an error, or the whole virtual machine would end
        c.write(vfu.CC, 0)
        c.client.call(vu.RESET)
        c.map(1 << 40, c.mem.size)
        c.unmap(0, c.mem.size)
        c.irq(1)
        need(c.client.read(vu.CONFIG, 0, 4) == b"\xff" * 4, "configuration space of a device that is gone")
    device.close()


def replaced():
    """Commands without an error while the daemon is replaced; memory that was never used before, too."""
    device = Device()
    with vu.Controller(device, size=1 << 30) as c:
        c.enable()
        q = c.create(1, 64, vector=1)
        c.irq(1)
        chunk, rounds, signals = 2 << 20, 0, 0
        begin = c.mem.pages(1)
        while not os.path.exists(STOP):
            cids = []
            old = q.tail
            for i in range(16):
                page = (begin + (rounds * 7 + i) * chunk // 8) % (c.mem.size - (8 << 20)) + (4 << 20)
                cids.append((q.put(nvme.READ, nsid=1, dptr=prp(page & ~(PAGE - 1)), **nvme.rw(8 * i, 8))))
            q.ring(old)
            for cid in cids:
                cqe = q.take(cid)
                need(not cqe.status, "round %d: %s", rounds, cqe)
            # the daemon may be away: its answer waits, too
            need(c.read(vfu.CSTS) == vfu.RDY, "CSTS %#x", c.read(vfu.CSTS))
            signals += c.signalled(1)
            rounds += 1
            with open(READY + ".new", "w", encoding="ascii") as f:
                f.write("%d\n" % rounds)
            os.rename(READY + ".new", READY)
        need(signals, "no interrupt")
        # registers, memory and interrupts are the successor's to change as well
        more = Memory(4 << 20, 1 << 40)
        c.map(1 << 40, more.size, fd=more.fd)
        q.good(nvme.READ, nsid=1, dptr=prp((1 << 40) + PAGE), **nvme.rw(0, 8))
        c.unmap(0, c.mem.size)
        c.map(0, c.mem.size)
        c.irq(1)
        q.good(nvme.READ, nsid=1, dptr=prp(begin), **nvme.rw(0, 8))
        c.reset()
        more.close()
    device.close()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
