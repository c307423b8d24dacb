# SPDX-License-Identifier: GPL-2.0
"""CRC-32C (Castagnoli), the digest of NVMe/TCP, eight bytes a step."""

import struct

_POLY = 0x82F63B78


def _tables():
    first = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (_POLY if n & 1 else 0)
        first.append(n)
    tables = [first]
    for _ in range(7):
        prev = tables[-1]
        tables.append([first[v & 0xFF] ^ (v >> 8) for v in prev])
    return tables


_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7 = _tables()


def crc32c(data, crc=0):
    """CRC-32C of data, continuing from an earlier result."""
    crc ^= 0xFFFFFFFF
    whole = len(data) & ~7
    for lo, hi in struct.iter_unpack("<II", bytes(data[:whole])):
        lo ^= crc
        crc = (_T7[lo & 0xFF] ^ _T6[(lo >> 8) & 0xFF] ^ _T5[(lo >> 16) & 0xFF] ^ _T4[lo >> 24] ^
               _T3[hi & 0xFF] ^ _T2[(hi >> 8) & 0xFF] ^ _T1[(hi >> 16) & 0xFF] ^ _T0[hi >> 24])
    for byte in data[whole:]:
        crc = _T0[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF
