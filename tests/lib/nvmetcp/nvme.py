# SPDX-License-Identifier: GPL-2.0
"""NVMe commands and statuses, by the names of the base and fabrics specifications."""

import struct

SQE = struct.Struct("<BBHIIIQ16s6I")

# Fabrics command types
FC_PROP_SET, FC_CONNECT, FC_PROP_GET, FC_AUTH_SEND, FC_AUTH_RECV, FC_DISCONNECT = 0, 1, 4, 5, 6, 8
OP_FABRICS = 0x7F

# Admin commands
A_LOG, A_IDENTIFY, A_ABORT, A_SET_FEATURES, A_GET_FEATURES, A_AER, A_KEEP_ALIVE = (
    0x02, 0x06, 0x08, 0x09, 0x0A, 0x0C, 0x18)
# NVM commands
FLUSH, WRITE, READ, WRITE_UNC, COMPARE, WRITE_ZEROES, DSM, VERIFY = (
    0x00, 0x01, 0x02, 0x04, 0x05, 0x08, 0x09, 0x0C)

# Properties
CAP, VS, CC, CSTS = 0x00, 0x08, 0x14, 0x1C

# Statuses: Status Code Type << 8 | Status Code
OK = 0x000
INVALID_OPCODE, INVALID_FIELD, CID_CONFLICT = 0x001, 0x002, 0x003
ABORTED, INVALID_NS, SEQUENCE = 0x007, 0x00B, 0x00C
SGL_LENGTH, SGL_TYPE, SGL_OFFSET = 0x00F, 0x011, 0x016
TRANSIENT_TRANSPORT, LBA_RANGE = 0x022, 0x080
INVALID_LOG_PAGE = 0x109
CONN_FORMAT, CONN_BUSY, CONN_PARAMS, CONN_RESTART, CONN_HOST = 0x180, 0x181, 0x182, 0x183, 0x184

DISCOVERY_NQN = "nqn.2014-08.org.nvmexpress.discovery"

CATTR_NO_FLOW_CONTROL = 0x04
IATTR_DATA = 1


def sgl(address=0, length=0, kind=0x5A, reserved=b"\0\0\0"):
    """An SGL descriptor: kind is the Identifier byte (type << 4 | sub type)."""
    return struct.pack("<QI3sB", address, length, reserved, kind)


def sgl_host(length):
    """Transport SGL Data Block: the data comes and goes outside the capsule."""
    return sgl(0, length, 0x5A)


def sgl_capsule(length, offset=0):
    """SGL Data Block with an offset: the data is in the capsule."""
    return sgl(offset, length, 0x01)


def sqe(opcode, cid=0, *, nsid=0, flags=0x40, cdw2=0, cdw3=0, mptr=0, dptr=bytes(16),
        cdw10=0, cdw11=0, cdw12=0, cdw13=0, cdw14=0, cdw15=0):
    """A submission queue entry; flags 40h says that SGLs are used."""
    return SQE.pack(opcode, flags, cid, nsid, cdw2, cdw3, mptr, dptr,
                    cdw10, cdw11, cdw12, cdw13, cdw14, cdw15)


def nqn(name):
    """An NQN as a field of 256 bytes; bytes go in as they are."""
    if isinstance(name, str):
        name = name.encode()
    return name[:256].ljust(256, b"\0")


def connect_data(hostid, cntlid, subnqn, hostnqn):
    """The 1024 bytes that a Connect command carries."""
    return struct.pack("<16sH238x256s256s256x", hostid, cntlid, nqn(subnqn), nqn(hostnqn))


def rw(slba, blocks):
    """The dwords of a Read, Write or the like of that many blocks."""
    return {"cdw10": slba & 0xFFFFFFFF, "cdw11": (slba >> 32) & 0xFFFFFFFF, "cdw12": (blocks - 1) & 0xFFFF}


class Completion:
    """A completion queue entry."""

    def __init__(self, raw):
        self.dw0, self.dw1, self.sqhd, self.sqid, self.cid, self.field = struct.unpack("<IIHHHH", raw)
        self.status = (self.field >> 1) & 0x7FF
        self.dnr = bool(self.field & 0x8000)

    def __repr__(self):
        return "status %03xh%s dw0 %#x dw1 %#x sqhd %d sqid %d cid %d" % (
            self.status, " DNR" if self.dnr else "", self.dw0, self.dw1, self.sqhd, self.sqid, self.cid)
