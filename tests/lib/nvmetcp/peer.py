# SPDX-License-Identifier: GPL-2.0
"""One NVMe/TCP connection, as obedient or as rude as its user wants."""

import os
import select
import socket
import struct
import time

from . import nvme, pdu
from .pdu import Violation


TRACE = bool(os.environ.get("NVTGT_TRACE"))


class Closed(Exception):
    """The target closed the connection. reset: by RST. cut: what came of a PDU that never ended."""

    def __init__(self, reset=False, cut=b""):
        super().__init__("connection closed%s%s" % (" by RST" if reset else "", " within a PDU" if cut else ""))
        self.reset, self.cut = reset, cut


class Terminated(Exception):
    """A C2HTermReq came."""

    def __init__(self, p):
        super().__init__("C2HTermReq fes %d fei %d" % (p.fes, p.fei))
        self.pdu = p
        self.fes, self.fei = p.fes, p.fei


class Silence(Exception):
    """Nothing came in time."""


class Cmd:
    """A command on its way: what it sends, what came for it, how it ended."""

    def __init__(self, cid, out, read_len, split, auto):
        self.cid, self.out, self.split, self.auto = cid, out, split, auto
        self.inp = bytearray(read_len)
        self.got = 0
        self.c2h = []
        self.r2ts = []
        self.asked = 0
        self.open_r2t = {}
        self.last = False
        self.cqe = None
        self.by_flag = False

    @property
    def done(self):
        return self.cqe is not None or self.by_flag

    @property
    def status(self):
        return 0 if self.by_flag else self.cqe.status

    @property
    def data(self):
        return bytes(self.inp[:self.got])


class Peer:
    """
    A connection. With icreq=True it is initialized at once. maxr2t is 0's based, as on the wire.
    Everything that the target sends is checked against the specification; a breach raises Violation.
    """

    def __init__(self, address, port, *, hdgst=False, ddgst=False, hpda=0, maxr2t=0,
                 icreq=True, timeout=60, rcvbuf=0, bind=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if bind:
            self.sock.bind((bind, 0))
        self.timeout = timeout
        self.sock.settimeout(timeout)
        try:
            self.sock.connect((address, port))
        except BaseException:
            self.sock.close()
            raise
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = bytearray()
        self.hdgst = self.ddgst = False
        self.want_digest = (1 if hdgst else 0) | (2 if ddgst else 0)
        self.hpda, self.maxr2t, self.cpda = hpda, maxr2t, 0
        self.maxh2c = 0
        self.pending = {}
        self.next_cid = 0
        self.qid = 0
        self.sqsize = None
        self.flow_control = True
        self.sqhd = None
        self.connected = False
        self.finished = 0
        self.chop = 0
        if icreq:
            try:
                self.initialize()
            except BaseException:
                self.sock.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End with FIN (or RST where unread data is left: the kernel decides)."""
        self.sock.close()

    def reset(self):
        """End with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- bytes -----------------------------------------------------------------

    def send(self, data):
        """Send bytes as they are, in pieces of self.chop bytes if that is set."""
        if TRACE:
            print("-> %s (%d bytes)" % (bytes(data[:72]).hex(" ", 4), len(data)), flush=True)
        try:
            if not self.chop:
                self.sock.sendall(data)
                return
            for i in range(0, len(data), self.chop):
                self.sock.sendall(data[i:i + self.chop])
        except (BrokenPipeError, ConnectionResetError):
            # What the target said before it went is still to be read, and reading tells the end too.
            pass

    def readable(self, seconds):
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        return bool(poller.poll(seconds * 1000))

    def _fill(self, count, deadline):
        while len(self.buf) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not self.readable(left):
                raise Silence("no answer in time")
            try:
                more = self.sock.recv(1 << 20)
            except ConnectionResetError:
                raise Closed(True) from None
            if not more:
                raise Closed(cut=bytes(self.buf))
            self.buf += more

    def recv(self, timeout=None):
        """The next PDU, whole and checked."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        self._fill(8, deadline)
        plen = pdu.COMMON.unpack_from(self.buf)[4]
        if not 8 <= plen <= (8 << 20):
            raise Violation("PDU with plen %d" % plen)
        self._fill(plen, deadline)
        raw = bytes(self.buf[:plen])
        del self.buf[:plen]
        if TRACE:
            print("<- %s" % raw[:24].hex(" ", 4), flush=True)
        return pdu.split(raw, hdgst=self.hdgst, ddgst=self.ddgst, align=(self.hpda + 1) * 4)

    # -- connection set-up -----------------------------------------------------

    def initialize(self, **fields):
        """ICReq, ICResp."""
        fields.setdefault("hpda", self.hpda)
        fields.setdefault("digest", self.want_digest)
        fields.setdefault("maxr2t", self.maxr2t)
        self.send(pdu.ic_req(**fields))
        return self.take_icresp(fields["digest"])

    def take_icresp(self, digest=0):
        """Read the ICResp and live by it."""
        p = self.recv()
        if p.type == pdu.C2H_TERM:
            raise Terminated(p)
        if p.type != pdu.IC_RESP:
            raise Violation("%r instead of ICResp" % p)
        pfv, self.cpda, got, self.maxh2c = struct.unpack_from("<HBBI", p.raw, 8)
        if pfv != 0 or self.cpda > 31 or p.flags or self.maxh2c < 4096:
            raise Violation("ICResp pfv %d cpda %d flags %#x maxh2cdata %d" % (
                pfv, self.cpda, p.flags, self.maxh2c))
        if self.maxh2c % 4:
            raise Violation("MAXH2CDATA %d is no multiple of a dword" % self.maxh2c)
        if p.raw[16:] != bytes(112):
            raise Violation("ICResp with reserved bytes set")
        if got & ~digest:
            raise Violation("ICResp with digests %d, asked for %d" % (got, digest))
        self.hdgst, self.ddgst = bool(got & 1), bool(got & 2)
        return p

    # -- PDUs of ours ----------------------------------------------------------

    @property
    def align(self):
        return (self.cpda + 1) * 4

    def frame(self, kind, specific, data=b"", **kw):
        kw.setdefault("hdgst", self.hdgst)
        kw.setdefault("ddgst", self.ddgst)
        kw.setdefault("align", self.align)
        return pdu.frame(kind, specific, data, **kw)

    def capsule(self, entry, data=b"", **kw):
        """A CapsuleCmd around a submission queue entry."""
        return self.frame(pdu.CMD, entry, data, **kw)

    def h2c(self, cccid, ttag, offset, data, *, last=True, length=None, reserved=0, **kw):
        """An H2CData PDU."""
        body = struct.pack("<HHIII", cccid & 0xFFFF, ttag & 0xFFFF, offset & 0xFFFFFFFF,
                           (len(data) if length is None else length) & 0xFFFFFFFF, reserved)
        kw.setdefault("flags", pdu.F_LAST if last else 0)
        return self.frame(pdu.H2C_DATA, body, data, **kw)

    # -- commands --------------------------------------------------------------

    def new_cid(self):
        while True:
            self.next_cid = (self.next_cid + 1) & 0xFFFF
            if self.next_cid not in self.pending and self.next_cid != 0xFFFF:
                return self.next_cid

    def submit(self, opcode, *, out=None, read=0, inline=False, split=None, auto=True, cid=None,
               framing=None, held=False, **fields):
        """
        Send a command. out: data for the target, in the capsule if inline, else on R2T.
        read: how many bytes the target is to send. dptr, when not given, follows from these.
        split: sizes in which H2CData goes out, in turn. auto: answer R2Ts. framing: arguments
        for the capsule's frame. held: return the bytes instead of sending them.
        """
        cid = self.new_cid() if cid is None else cid
        if "dptr" not in fields:
            if out is not None and inline:
                fields["dptr"] = nvme.sgl_capsule(len(out))
            else:
                fields["dptr"] = nvme.sgl_host(len(out) if out is not None else read)
        cmd = Cmd(cid, out if not inline else None, read, split, auto)
        self.pending[cid] = cmd
        raw = self.capsule(nvme.sqe(opcode, cid, **fields), out if inline and out else b"",
                           **(framing or {}))
        if held:
            return cmd, raw
        self.send(raw)
        return cmd

    def wait(self, *cmds, timeout=None):
        """Pump until these commands have ended."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not all(c.done for c in cmds):
            self.pump(max(0.0, deadline - time.monotonic()))
        return cmds[0] if len(cmds) == 1 else cmds

    def run(self, opcode, **kw):
        """Submit and wait; returns the command."""
        timeout = kw.pop("timeout", None)
        return self.wait(self.submit(opcode, **kw), timeout=timeout)

    def pump(self, timeout=None):
        """Take one PDU and act on it."""
        p = self.recv(timeout)
        if p.type == pdu.C2H_TERM:
            raise Terminated(p)
        if p.type == pdu.RSP:
            self._on_response(p)
        elif p.type == pdu.C2H_DATA:
            self._on_data(p)
        elif p.type == pdu.R2T:
            self._on_r2t(p)
        else:
            raise Violation("unexpected %r" % p)
        return p

    def _on_response(self, p):
        cqe = nvme.Completion(p.raw[8:24])
        cmd = self.pending.pop(cqe.cid, None)
        if cmd is None:
            raise Violation("completion for no command: %r" % cqe)
        if cqe.field & 1:
            raise Violation("phase bit set: %r" % cqe)
        if cqe.sqid not in (0, self.qid):
            raise Violation("SQID of another queue: %r" % cqe)
        if cmd.got and not cmd.last and not cqe.status:
            raise Violation("completed without LAST_PDU")
        cmd.cqe = cqe
        self.finished += 1
        if self.connected and self.flow_control:
            self._check_sqhd(cqe.sqhd)

    def _check_sqhd(self, sqhd):
        """The head only moves forward, by at most as many entries as were taken."""
        size = self.sqsize + 1
        if sqhd >= size:
            raise Violation("SQHD %d with a queue of %d" % (sqhd, size))
        self.sqhd = sqhd

    def _on_data(self, p):
        cmd = self.pending.get(p.cccid)
        if cmd is None:
            raise Violation("C2HData for no command: %r" % p)
        if p.offset != cmd.got:
            raise Violation("C2HData at %d, %d came before" % (p.offset, cmd.got))
        if cmd.got + p.length > len(cmd.inp) or cmd.last:
            raise Violation("C2HData beyond the command's %d bytes" % len(cmd.inp))
        if p.flags & ~0x0F:
            raise Violation("C2HData with reserved flags %#x" % p.flags)
        if p.raw[10:12] != b"\0\0" or p.raw[20:24] != bytes(4):
            raise Violation("C2HData with reserved bytes set")
        cmd.inp[cmd.got:cmd.got + p.length] = p.data
        cmd.got += p.length
        cmd.c2h.append(p)
        cmd.last = bool(p.flags & pdu.F_LAST)
        if p.flags & pdu.F_SUCCESS:
            if self.flow_control or not cmd.last:
                raise Violation("SUCCESS flag with flow control %s, LAST %s" % (self.flow_control, cmd.last))
            del self.pending[p.cccid]
            cmd.by_flag = True
            self.finished += 1

    def _on_r2t(self, p):
        cmd = self.pending.get(p.cccid)
        if cmd is None:
            raise Violation("R2T for no command: %r" % p)
        if p.flags & ~pdu.F_HDGST or p.raw[20:24] != bytes(4):
            raise Violation("R2T with flags %#x, reserved %s" % (p.flags, p.raw[20:24].hex()))
        if cmd.out is None or not p.length or p.offset + p.length > len(cmd.out):
            raise Violation("R2T for %d+%d of %s" % (p.offset, p.length, cmd.out and len(cmd.out)))
        if p.offset != cmd.asked:
            raise Violation("R2T at %d, %d were asked for" % (p.offset, cmd.asked))
        cmd.asked += p.length
        cmd.r2ts.append(p)
        cmd.open_r2t[p.offset] = p
        if len(cmd.open_r2t) > self.maxr2t + 1:
            raise Violation("%d R2Ts outstanding, MAXR2T allows %d" % (len(cmd.open_r2t), self.maxr2t + 1))
        if cmd.auto:
            self.answer(cmd, p)

    def answer(self, cmd, r2t, *, split=None):
        """All H2CData PDUs that an R2T asks for."""
        sizes = split or cmd.split or [self.maxh2c]
        at, end, turn, out = r2t.offset, r2t.offset + r2t.length, 0, []
        while at < end:
            size = min(sizes[turn % len(sizes)], self.maxh2c, end - at)
            turn += 1
            out.append(self.h2c(cmd.cid, r2t.ttag, at, cmd.out[at:at + size], last=at + size == end))
            at += size
        del cmd.open_r2t[r2t.offset]
        self.send(b"".join(out))

    def take_r2t(self, cmd, count=1):
        """Pump until the command has been asked for data; the R2T."""
        while len(cmd.r2ts) < count:
            self.pump()
            if cmd.done:
                raise Violation("command ended with %03x before its R2T" % cmd.status)
        return cmd.r2ts[count - 1]

    # -- ends ------------------------------------------------------------------

    def take_term(self, legal, sent=None, timeout=None):
        """
        Read until a C2HTermReq and check it. legal: a set of (fes, fei), with None for any fei.
        sent: the header that was in error. Then nothing more may come, and the target must close.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            p = self.recv(max(0.0, deadline - time.monotonic()))
            if p.type == pdu.C2H_TERM:
                break
        if not any(p.fes == fes and fei in (None, p.fei) for fes, fei in legal):
            raise Violation("C2HTermReq fes %d fei %#x, wanted one of %s" % (p.fes, p.fei, sorted(legal, key=str)))
        if p.flags or p.raw[14:24] != bytes(10):
            raise Violation("C2HTermReq with flags %#x, reserved %s" % (p.flags, p.raw[14:24].hex()))
        if sent is not None and p.data:
            if not sent.startswith(p.data) and not p.data.startswith(sent[:8]):
                raise Violation("C2HTermReq carries %s, sent was %s" % (p.data.hex(), sent[:24].hex()))
        self.shut()
        self.take_close()
        return p

    def shut(self):
        """FIN: nothing more comes from here."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def take_close(self, timeout=None):
        """The target closes, and sends nothing before that."""
        try:
            p = self.recv(timeout)
        except Closed as end:
            if end.cut:
                raise Violation("%s before the connection's end" % end.cut[:24].hex()) from None
            return end
        raise Violation("%r instead of the connection's end" % p)

    def take_end(self, timeout=None):
        """The connection ends, in whatever legal way: what came on it meanwhile."""
        seen = []
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        try:
            while True:
                seen.append(self.recv(max(0.0, deadline - time.monotonic())))
        except Closed:
            return seen

    def quiet(self, seconds):
        """True if nothing comes for that long."""
        if self.buf:
            return False
        return not self.readable(seconds)
