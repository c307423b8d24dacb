# SPDX-License-Identifier: GPL-2.0
"""Queues and controllers over raw connections."""

import os
import struct
import time
import uuid

from . import nvme
from .peer import Peer
from .pdu import Violation


class Refused(Violation):
    """A command ended with a status where success was wanted."""

    def __init__(self, what, cqe):
        super().__init__("%s: %r" % (what, cqe))
        self.status = cqe.status


class Host:
    """Who connects."""

    def __init__(self, nqn=None, hostid=None):
        ident = uuid.uuid4()
        self.nqn = nqn or "nqn.2014-08.org.nvmexpress:uuid:%s" % ident
        self.hostid = hostid or ident.bytes


def connect(peer, host, subnqn, *, qid=0, sqsize=31, kato=0, cattr=0, cntlid=0xFFFF, recfmt=0,
            data=None, inline=True, hostnqn=None, hostid=None, held=False, **fields):
    """
    A Connect command with any field the caller's. Returns the command when it has ended; on
    success the peer knows its queue.
    """
    if data is None:
        data = nvme.connect_data(hostid or host.hostid, cntlid, subnqn,
                                 host.nqn if hostnqn is None else hostnqn)
    fields.setdefault("cdw10", recfmt | qid << 16)
    fields.setdefault("cdw11", sqsize | cattr << 16)
    fields.setdefault("cdw12", kato)
    fields.setdefault("nsid", nvme.FC_CONNECT)
    made = peer.submit(nvme.OP_FABRICS, out=data, inline=inline, held=held, **fields)
    if held:
        return made
    peer.qid = qid
    cmd = peer.wait(made)
    if cmd.status == 0:
        peer.connected = True
        peer.sqsize = sqsize
        peer.flow_control = not (cattr & nvme.CATTR_NO_FLOW_CONTROL and cmd.cqe.sqhd == 0xFFFF)
        peer.cntlid = cmd.cqe.dw0 & 0xFFFF
        if cmd.cqe.dw1:
            raise Violation("Connect completed with dw1 %#x" % cmd.cqe.dw1)
    return cmd


def prop_get(peer, offset, eight=False):
    """Property Get: the command."""
    return peer.run(nvme.OP_FABRICS, nsid=nvme.FC_PROP_GET, cdw10=1 if eight else 0, cdw11=offset)


def prop_value(peer, offset, eight=False):
    """Property Get: the value."""
    cmd = prop_get(peer, offset, eight)
    if cmd.status:
        raise Refused("Property Get %#x" % offset, cmd.cqe)
    return cmd.cqe.dw0 | (cmd.cqe.dw1 << 32 if eight else 0)


def prop_set(peer, offset, value, attrib=0):
    """Property Set: the command."""
    return peer.run(nvme.OP_FABRICS, nsid=nvme.FC_PROP_SET, cdw10=attrib, cdw11=offset,
                    cdw12=value & 0xFFFFFFFF, cdw13=value >> 32)


CC_ENABLE = 6 << 16 | 4 << 20 | 1


def enable(peer, cc=CC_ENABLE, timeout=60):
    """Set CC.EN and wait for CSTS.RDY."""
    cmd = prop_set(peer, nvme.CC, cc)
    if cmd.status:
        raise Refused("CC", cmd.cqe)
    deadline = time.monotonic() + timeout
    while not prop_value(peer, nvme.CSTS) & 1:
        if time.monotonic() > deadline:
            raise Violation("CSTS.RDY stays 0")


class Controller:
    """An enabled controller: an admin queue, and I/O queues as they are asked for."""

    def __init__(self, address, port, subnqn, host=None, *, kato=0, enabled=True, sqsize=31, cattr=0,
                 timeout=60, **peer):
        self.address, self.port, self.subnqn = address, port, subnqn
        self.host = host or Host()
        self.peers = []
        self.options = dict(peer, timeout=timeout)
        self.admin = self.peer()
        try:
            cmd = connect(self.admin, self.host, subnqn, kato=kato, sqsize=sqsize, cattr=cattr)
            if cmd.status:
                raise Refused("Connect", cmd.cqe)
            self.cntlid = self.admin.cntlid
            if enabled:
                enable(self.admin)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for peer in self.peers:
            peer.close()

    def peer(self, **options):
        """One more connection to the same place, not yet a queue."""
        peer = Peer(self.address, self.port, **dict(self.options, **options))
        self.peers.append(peer)
        return peer

    def io_queue(self, qid=1, *, sqsize=31, cattr=0, kato=0, **options):
        """One more I/O queue."""
        peer = self.peer(**options)
        cmd = connect(peer, self.host, self.subnqn, qid=qid, sqsize=sqsize, cattr=cattr, cntlid=self.cntlid,
                      kato=kato)
        if cmd.status:
            raise Refused("Connect of I/O queue %d" % qid, cmd.cqe)
        return peer

    def identify(self, cns, nsid=0, *, csi=0, cntid=0, length=4096):
        """Identify: the command."""
        return self.admin.run(nvme.A_IDENTIFY, nsid=nsid, cdw10=cns | cntid << 16, cdw11=csi << 24, read=length)

    def identify_data(self, cns, nsid=0, **kw):
        cmd = self.identify(cns, nsid, **kw)
        if cmd.status or cmd.got != 4096:
            raise Violation("Identify CNS %02x NSID %d: %r, %d bytes" % (cns, nsid, cmd.cqe, cmd.got))
        return cmd.data

    def log(self, lid, length, *, lpo=0, nsid=0xFFFFFFFF, rae=False, lsp=0, numd=None, **kw):
        """Get Log Page: the command. numd is 0's based, as on the wire."""
        numd = (length // 4 - 1 if numd is None else numd) & 0xFFFFFFFF
        return self.admin.run(nvme.A_LOG, nsid=nsid, read=length,
                              cdw10=lid | lsp << 8 | (0x8000 if rae else 0) | (numd & 0xFFFF) << 16,
                              cdw11=numd >> 16, cdw12=lpo & 0xFFFFFFFF, cdw13=lpo >> 32, **kw)

    def log_data(self, lid, length, **kw):
        cmd = self.log(lid, length, **kw)
        if cmd.status or cmd.got != length:
            raise Violation("log page %02x: %r, %d of %d bytes" % (lid, cmd.cqe, cmd.got, length))
        return cmd.data

    def get_feature(self, fid, sel=0, nsid=0, **kw):
        return self.admin.run(nvme.A_GET_FEATURES, nsid=nsid, cdw10=fid | sel << 8, **kw)

    def set_feature(self, fid, value=0, save=False, nsid=0, **kw):
        return self.admin.run(nvme.A_SET_FEATURES, nsid=nsid, cdw10=fid | (1 << 31 if save else 0),
                              cdw11=value, **kw)

    def capsule_data(self):
        """How many bytes of data an I/O capsule may carry (IOCCSZ)."""
        ident = self.identify_data(1)
        return struct.unpack_from("<I", ident, 1792)[0] * 16 - 64


def pattern(length, seed=None):
    """Bytes that no other call gives."""
    return os.urandom(length) if seed is None else bytes((seed + i * 7 + (i >> 9)) & 0xFF for i in range(length))
