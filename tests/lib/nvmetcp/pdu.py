# SPDX-License-Identifier: GPL-2.0
"""PDUs of the NVMe/TCP transport: building them, right or wrong, and taking them apart."""

import struct

from .crc32c import crc32c

IC_REQ, IC_RESP, H2C_TERM, C2H_TERM = 0x00, 0x01, 0x02, 0x03
CMD, RSP, H2C_DATA, C2H_DATA, R2T = 0x04, 0x05, 0x06, 0x07, 0x09

NAMES = {IC_REQ: "ICReq", IC_RESP: "ICResp", H2C_TERM: "H2CTermReq", C2H_TERM: "C2HTermReq",
         CMD: "CapsuleCmd", RSP: "CapsuleResp", H2C_DATA: "H2CData", C2H_DATA: "C2HData", R2T: "R2T"}

F_HDGST, F_DDGST, F_LAST, F_SUCCESS = 0x01, 0x02, 0x04, 0x08

# Fatal Error Status of a C2HTermReq
FES_HDR, FES_SEQ, FES_HDGST, FES_RANGE, FES_LIMIT, FES_PARAM = 1, 2, 3, 4, 5, 6

# Offsets within PDU headers, as a Fatal Error Information names them
OFF_TYPE, OFF_FLAGS, OFF_HLEN, OFF_PDO, OFF_PLEN = 0, 1, 2, 3, 4
OFF_PFV, OFF_HPDA, OFF_DGST, OFF_MAXR2T = 8, 10, 11, 12
OFF_CCCID, OFF_TTAG, OFF_DATAO, OFF_DATAL = 8, 10, 12, 16

COMMON = struct.Struct("<BBBBI")
HEADER_LENGTH = {IC_RESP: 128, C2H_TERM: 24, RSP: 24, C2H_DATA: 24, R2T: 24}


def common(kind, flags, hlen, pdo, plen):
    """The eight bytes that begin every PDU."""
    return COMMON.pack(kind & 0xFF, flags & 0xFF, hlen & 0xFF, pdo & 0xFF, plen & 0xFFFFFFFF)


def frame(kind, specific, data=b"", *, flags=0, hdgst=False, ddgst=False, align=4,
          over=None, bad_hdgst=0, bad_ddgst=0, pdo=None):
    """
    One PDU. specific: the header after its first eight bytes. over: common header
    fields (type, flags, hlen, pdo, plen) to send instead of the right ones; header digests
    are made over what is sent. bad_hdgst, bad_ddgst: bits to flip in the digests. pdo: where the
    data begins, in the header and in fact.
    """
    over = over or {}
    hlen = 8 + len(specific)
    at = hlen + (4 if hdgst else 0)
    if hdgst:
        flags |= F_HDGST
    if data and ddgst:
        flags |= F_DDGST
    where = 0
    if data:
        where = pdo if pdo is not None else -(-at // align) * align
    plen = (where + len(data) + (4 if ddgst else 0)) if data else at
    head = common(over.get("type", kind), over.get("flags", flags), over.get("hlen", hlen),
                  over.get("pdo", where), over.get("plen", plen)) + specific
    out = bytearray(head)
    if hdgst:
        out += struct.pack("<I", crc32c(head) ^ bad_hdgst)
    if data:
        out += bytes(where - len(out))
        out += data
        if ddgst:
            out += struct.pack("<I", crc32c(data) ^ bad_ddgst)
    return bytes(out)


def ic_req(pfv=0, hpda=0, digest=0, maxr2t=0, rest=bytes(112), **over):
    """Initialize Connection Request. maxr2t is 0's based. over: common header fields."""
    body = struct.pack("<HBBI", pfv, hpda, digest, maxr2t) + rest
    return frame(IC_REQ, body, over=over)


def h2c_term(fes=1, fei=0, data=b"", **over):
    """Host to Controller Terminate Connection Request; data: the header that was in error."""
    body = struct.pack("<HI", fes, fei) + bytes(10)
    over.setdefault("plen", 24 + len(data))
    return frame(H2C_TERM, body, over=over) + data


class Pdu:
    """A PDU that came in: its header's fields, its data, and what digests said."""

    def __init__(self, head, rest, ddgst):
        self.raw = head
        self.type, self.flags, self.hlen, self.pdo, self.plen = COMMON.unpack_from(head)
        self.data = b""
        self.rest = rest
        self.ddgst = ddgst

    def __repr__(self):
        return "%s flags=%#x hlen=%d pdo=%d plen=%d" % (
            NAMES.get(self.type, "type %#x" % self.type), self.flags, self.hlen, self.pdo, self.plen)

    @property
    def cccid(self):
        return struct.unpack_from("<H", self.raw, 8)[0]

    @property
    def ttag(self):
        return struct.unpack_from("<H", self.raw, 10)[0]

    @property
    def offset(self):
        return struct.unpack_from("<I", self.raw, 12)[0]

    @property
    def length(self):
        return struct.unpack_from("<I", self.raw, 16)[0]

    @property
    def fes(self):
        return struct.unpack_from("<H", self.raw, 8)[0]

    @property
    def fei(self):
        return struct.unpack_from("<I", self.raw, 10)[0]


class Violation(Exception):
    """The target broke a rule of the specification."""


def _need(true, text, *args):
    if not true:
        raise Violation(text % args)


def split(raw, *, hdgst, ddgst, align):
    """Take a whole PDU apart and check everything that its framing promises."""
    kind, flags, hlen, pdo, plen = COMMON.unpack_from(raw)
    _need(kind in HEADER_LENGTH, "PDU type %#x from a controller", kind)
    name = NAMES[kind]
    _need(hlen == HEADER_LENGTH[kind], "%s with hlen %d", name, hlen)
    digests = kind in (RSP, C2H_DATA, R2T)
    pdu = Pdu(raw[:hlen], raw[hlen:], None)
    _need(bool(flags & F_HDGST) == (hdgst and digests), "%s with flags %#x, header digest %s",
          name, flags, hdgst)
    end = hlen
    if hdgst and digests:
        end += 4
        _need(struct.unpack_from("<I", raw, hlen)[0] == crc32c(raw[:hlen]), "%s: wrong header digest", name)
    if kind == C2H_DATA:
        _need(bool(flags & F_DDGST) == ddgst, "%s with flags %#x, data digest %s", name, flags, ddgst)
        _need(pdo >= end and pdo % align == 0,
              "%s: data at %d, header ends at %d, alignment %d", name, pdo, end, align)
        tail = 4 if ddgst else 0
        _need(pdu.length > 0 and plen == pdo + pdu.length + tail, "%s: plen %d, pdo %d, datal %d",
              name, plen, pdo, pdu.length)
        pdu.data = raw[pdo:pdo + pdu.length]
        if ddgst:
            got = struct.unpack_from("<I", raw, plen - 4)[0]
            _need(got == crc32c(pdu.data), "%s: wrong data digest", name)
    elif kind == C2H_TERM:
        _need(24 <= plen <= 152, "%s with plen %d", name, plen)
        pdu.data = raw[24:]
    else:
        _need(plen == end, "%s with plen %d", name, plen)
        _need(pdo == 0, "%s with pdo %d", name, pdo)
    return pdu
