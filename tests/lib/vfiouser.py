# SPDX-License-Identifier: GPL-2.0
"""A vfio-user client for tests: what QEMU sends, and what it never would."""

import array
import os
import socket
import struct

import vfu
from vfu import need

VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, GET_REGION_INFO, GET_REGION_IO_FDS, GET_IRQ_INFO, SET_IRQS = range(1, 9)
REGION_READ, REGION_WRITE, DMA_READ, DMA_WRITE, RESET, _, WRITE_MULTI, FEATURE = range(9, 17)
REPLY, NO_REPLY, ERROR = 1, 0x10, 0x20
BAR0, BAR4, CONFIG = 0, 4, 7
INTX, MSI, MSIX, ERR, REQ = range(5)
HDR = struct.Struct("=HHIII")
# as QEMU 11.1 says it
CAPS = (b'{"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535, '
        b'"max_data_xfer_size": 1048576, "migration": {"max_bitmap_size": 268435456, "pgsize": 4096}, '
        b'"write_multiple": true}}\0')


class Client:
    """A connection."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(vfu.PATIENCE)
        vfu.wait_for("a socket at " + path, lambda: self._connect(path))
        self.id = 0

    def _connect(self, path):
        try:
            self.sock.connect(path)
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def send(self, cmd, payload=b"", fds=(), flags=0, size=None, cut=None):
        """A message. size: what its header says; cut: only so many bytes of it. Returns its identifier."""
        self.id = (self.id + 1) & 0xFFFF
        raw = HDR.pack(self.id, cmd, HDR.size + len(payload) if size is None else size, flags, 0) + payload
        if cut is not None:
            raw = raw[:cut]
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.sock.sendmsg([raw], ancillary)
        if sent < len(raw):
            self.sock.sendall(raw[sent:])
        return self.id

    def exactly(self, size):
        got = b""
        while len(got) < size:
            piece = self.sock.recv(size - len(got))
            if not piece:
                raise ConnectionResetError("the daemon has hung up")
            got += piece
        return got

    def reply(self):
        """The next one: its identifier, command, errno and payload."""
        number, cmd, size, flags, error = HDR.unpack(self.exactly(HDR.size))
        payload = self.exactly(size - HDR.size)
        need(flags & 0xF == REPLY, "flags %#x of a reply", flags)
        need(bool(flags & ERROR) == bool(error), "flags %#x and error %d", flags, error)
        need(not (error and payload), "an error with a payload")
        return number, cmd, error, payload

    def call(self, cmd, payload=b"", fds=(), **kw):
        """A message and its reply's payload; OSError if that is an error."""
        sent = self.send(cmd, payload, fds, **kw)
        number, answered, error, got = self.reply()
        need((number, answered) == (sent, cmd), "a reply to %d of %d, and not to %d of %d", number, answered,
             sent, cmd)
        if error:
            raise OSError(error, os.strerror(error))
        return got

    def hello(self):
        got = self.call(VERSION, struct.pack("=HH", 0, 0) + CAPS)
        need(len(got) <= 4 + len(CAPS) and got[-1:] == b"\0" and struct.unpack_from("=HH", got) == (0, 0),
             "the version: %s", got)
        return got[4:-1]

    def read(self, region, offset, size):
        head = struct.pack("=QII", offset, region, size)
        got = self.call(REGION_READ, head)
        need(got[:16] == head and len(got) == 16 + size, "a read of %d bytes: %d", size, len(got))
        return got[16:]

    def write(self, region, offset, data, posted=False):
        head = struct.pack("=QII", offset, region, len(data))
        if posted:
            self.send(REGION_WRITE, head + data, flags=NO_REPLY)
            return
        need(self.call(REGION_WRITE, head + data) == head, "the answer to a write")

    def close(self):
        self.sock.close()


class Controller(vfu.Controller):
    """vfu.Controller, with the daemon in between."""

    def __init__(self, device, port=1, size=64 << 20, begin=0, vectors=16, memory=None):
        ports = {p[0]: p[2] for p in device.ports()[0]}
        self.fd = -1
        self.client = Client(ports[port])
        self.client.hello()
        self.mem = memory or vfu.Memory(size, begin)
        self.map(self.mem.begin, self.mem.size)
        self.admin = None
        self.events = {}

    def map(self, gpa, size, offset=0, fd=None, flags=vfu.MAP_RW):
        fd = self.mem.fd if fd is None else fd
        self.client.call(DMA_MAP, struct.pack("=IIQQQ", 32, flags, offset, gpa, size), [fd] if fd >= 0 else [])

    def unmap(self, gpa, size, flags=0):
        payload = struct.pack("=IIQQ", 24, 2 if flags else 0, gpa, size)
        need(self.client.call(DMA_UNMAP, payload) == payload, "the answer to an unmap")

    def read(self, offset, size=4):
        return int.from_bytes(self.client.read(BAR0, offset, size), "little")

    def write(self, offset, value, size=4):
        # QEMU waits for no answer to what a guest writes
        self.client.write(BAR0, offset, value.to_bytes(size, "little"), posted=True)

    def irq(self, vector):
        fd = __import__("ctypes").CDLL(None).eventfd(0, os.O_NONBLOCK)
        self.client.call(SET_IRQS, struct.pack("=IIIII", 20, 0x24, MSIX, vector, 1), [fd])
        self.events[vector] = fd
        return fd

    def try_reset(self):
        self.client.call(RESET)

    def close(self):
        if not self.client:
            return
        self.client.close()
        self.client = None
        for fd in self.events.values():
            os.close(fd)
        self.mem.close()
