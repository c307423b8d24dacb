# SPDX-License-Identifier: GPL-2.0
"""
A disk that both kinds of firmware of a PC boot from: its first sector is a boot sector, and it is a FAT file
system with an EFI application. Both write words to the first serial port, and end QEMU by its isa-debug-exit.
"""

import struct

SECTOR = 512
SECTORS = 2880
RESERVED, FATS, FAT_SECTORS, ROOT_ENTRIES = 8, 2, 9, 224
# in the reserved sectors: what the boot sector reads, and where it writes that
TEXT_SECTOR, COPY_SECTOR = 2, 4
TEXT = b"NVTGT-BIOS read this\n"
WRITTEN = b"NVTGT-BIOS wrote it\n"
EFI_WORD = b"NVTGT-EFI runs\n"
# of isa-debug-exit: QEMU's exit status is twice that, and one
EXIT_PORT, EXIT_VALUE = 0xF4, 0x10


class Code:
    """Machine code with labels."""

    # how a label's place is written: bytes, and from where it counts
    KINDS = {"rel8": "<b", "rel16": "<h", "rel32": "<i", "abs16": "<H"}

    def __init__(self, origin=0):
        self.origin = origin
        self.raw = bytearray()
        self.labels = {}
        self.fixes = []

    def add(self, raw, kind="", label=""):
        """Bytes, and where a label is."""
        self.raw += raw
        if kind:
            self.fixes.append((len(self.raw), kind, label))
            self.raw += bytes(struct.calcsize(self.KINDS[kind]))

    def label(self, name):
        self.labels[name] = len(self.raw)

    def bytes(self):
        for at, kind, label in self.fixes:
            how = self.KINDS[kind]
            begin = -self.origin if kind == "abs16" else at + struct.calcsize(how)
            struct.pack_into(how, self.raw, at, self.labels[label] - begin)
        return bytes(self.raw)


def boot_sector_code(at):
    """
    Reads TEXT_SECTOR by the BIOS, says what is in it, writes it to COPY_SECTOR, says that it has.
    at: where in the sector it is.
    """
    c = Code(0x7C00 + at)
    c.add(b"\x31\xc0\x8e\xd8\x8e\xd0\xbc\x00\x7c")          # ax = ds = ss = 0, sp = 0x7c00
    c.add(b"\x88\x16", "abs16", "drive")                    # mov [drive], dl
    for function, packet, text in ((0x42, "read", None), (0x43, "write", "written")):
        c.add(b"\xbe", "abs16", packet)                     # mov si, packet
        c.add(b"\x8a\x16", "abs16", "drive")                # mov dl, [drive]
        c.add(b"\xb8\x00" + bytes([function]))              # mov ax, function << 8
        c.add(b"\xcd\x13")                                  # int 0x13
        c.add(b"\x72", "rel8", "failed")                    # jc failed
        if text:
            c.add(b"\xbe", "abs16", text)
        else:
            c.add(b"\xbe\x00\x80")                          # mov si, 0x8000
        c.add(b"\xe8", "rel16", "say")                      # call say
    c.add(b"\xb0" + bytes([EXIT_VALUE]) + b"\xe6" + bytes([EXIT_PORT]))     # out EXIT_PORT, al
    c.label("stay")
    c.add(b"\xf4\xeb", "rel8", "stay")                      # hlt; jmp stay
    c.label("failed")
    c.add(b"\xbe", "abs16", "bad")
    c.add(b"\xe8", "rel16", "say")
    c.add(b"\xeb", "rel8", "stay")
    c.label("say")
    c.add(b"\xba\xf8\x03\xac\x84\xc0\x74", "rel8", "said")  # mov dx, 0x3f8; lodsb; test al, al; jz said
    c.add(b"\xee\xeb", "rel8", "say")                       # out dx, al; jmp say
    c.label("said")
    c.add(b"\xc3")
    for name, sector in (("read", TEXT_SECTOR), ("write", COPY_SECTOR)):
        c.label(name)
        c.add(struct.pack("<BBHHHQ", 16, 0, 1, 0x8000, 0, sector))
    c.label("written")
    c.add(WRITTEN + b"\0")
    c.label("bad")
    c.add(b"NVTGT-BIOS: int 0x13 failed\n\0")
    c.label("drive")
    c.add(b"\0")
    return c.bytes()


def efi_application():
    """A PE file of x86-64 that says its word."""
    c = Code()
    c.add(b"\x48\x8d\x35", "rel32", "text")                 # lea rsi, [rip + text]
    c.add(b"\xba\xf8\x03\x00\x00")                          # mov edx, 0x3f8
    c.label("next")
    c.add(b"\xac\x84\xc0\x74", "rel8", "said")              # lodsb; test al, al; jz said
    c.add(b"\xee\xeb", "rel8", "next")                      # out dx, al; jmp next
    c.label("said")
    c.add(b"\xb0" + bytes([EXIT_VALUE]) + b"\xe6" + bytes([EXIT_PORT]))
    c.label("stay")
    c.add(b"\xf4\xeb", "rel8", "stay")
    c.label("text")
    c.add(EFI_WORD + b"\0")
    text = c.bytes().ljust(SECTOR, b"\0")

    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    # an object of one section, and relocations that are not needed: stripped
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, 1, 0, 0, 0, 240, 0x0206 | 0x0020)
    optional = struct.pack("<HBBIIIII", 0x20B, 0, 0, SECTOR, 0, 0, 0x1000, 0x1000)
    optional += struct.pack("<QIIHHHHHHIIIIHH", 0x400000, 0x1000, SECTOR, 0, 0, 0, 0, 0, 0, 0,
                            0x2000, SECTOR, 0, 10, 0)       # 10: an EFI application
    optional += struct.pack("<QQQQII", 0x1000, 0x1000, 0x1000, 0x1000, 0, 16) + bytes(16 * 8)
    section = struct.pack("<8sIIIIIIHHI", b".text", len(text), 0x1000, len(text), SECTOR, 0, 0, 0, 0, 0xE0000020)
    return (dos + coff + optional + section).ljust(SECTOR, b"\0") + text


def entry(name, attr, cluster, size):
    """Of a FAT directory."""
    return struct.pack("<11sB14sHI", name.ljust(11), attr, bytes(14), cluster, size)


def image():
    """The disk's content."""
    files = [entry(b".", 0x10, 2, 0) + entry(b"..", 0x10, 0, 0) + entry(b"BOOT", 0x10, 3, 0),
             entry(b".", 0x10, 3, 0) + entry(b"..", 0x10, 2, 0)]
    app = efi_application()
    files[1] += entry(b"BOOTX64 EFI", 0x20, 4, len(app))
    need = (len(app) + SECTOR - 1) // SECTOR
    chain = [0xFF8, 0xFFF, 0xFFF, 0xFFF] + [4 + i + 1 for i in range(need - 1)] + [0xFFF]
    fat = bytearray(FAT_SECTORS * SECTOR)
    for i, value in enumerate(chain):
        at = i * 3 // 2
        word = struct.unpack_from("<H", fat, at)[0]
        word |= value << 4 if i % 2 else value
        struct.pack_into("<H", fat, at, word & 0xFFFF)
    root = entry(b"NVTGT", 0x08, 0, 0) + entry(b"EFI", 0x10, 2, 0)
    data = b"".join(f.ljust(SECTOR, b"\0") for f in files) + app

    bpb = struct.pack("<HBHBHHBHHHII", SECTOR, 1, RESERVED, FATS, ROOT_ENTRIES, SECTORS, 0xF8, FAT_SECTORS,
                      18, 2, 0, 0)
    bpb += struct.pack("<BBBI11s8s", 0x80, 0, 0x29, 0x4E565447, b"NVTGT      ", b"FAT12   ")
    sector = b"\xeb\x3c\x90" + b"NVTGT   " + bpb
    sector += boot_sector_code(len(sector))
    assert len(sector) <= 510, len(sector)
    sector = sector.ljust(510, b"\0") + b"\x55\xaa"
    reserved = bytearray(RESERVED * SECTOR)
    reserved[:SECTOR] = sector
    reserved[TEXT_SECTOR * SECTOR:TEXT_SECTOR * SECTOR + len(TEXT)] = TEXT
    disk = bytes(reserved) + bytes(fat) * FATS + root.ljust(ROOT_ENTRIES * 32, b"\0") + data
    return disk.ljust(SECTORS * SECTOR, b"\0")


def copied(disk):
    """Has the boot sector written what it was to?"""
    return disk[COPY_SECTOR * SECTOR:(COPY_SECTOR + 1) * SECTOR] == disk[TEXT_SECTOR * SECTOR:(TEXT_SECTOR + 1) * SECTOR]
