#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Virtual machines of a real QEMU on a socket of nvtgt-vfud: firmware boots from the disk, Linux works on it."""

import hashlib
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
import bootdisk  # noqa: E402
from vfu import need  # noqa: E402

SOCKET = "/run/nvtgt/vm1.sock"
QEMU, KERNEL = os.environ["QEMU"], os.environ["NESTED"]
WORK, PATIENCE = os.environ["WORK"], int(os.environ.get("PATIENCE", "1"))
MEMORY = "128M"
# nothing here takes so long; a machine in a machine that waits for others may
LONG = 400 * PATIENCE
BEGIN = time.monotonic()


def note(text, *args):
    print("# %4.0f s: %s" % (time.monotonic() - BEGIN, text % args), flush=True)


def wait_for(what, get, limit=LONG):
    end = time.monotonic() + limit
    while True:
        got = get()
        if got:
            return got
        need(time.monotonic() < end, "%s: not within %d s", what, limit)
        time.sleep(0.1)


class Machine:
    """A QEMU with the daemon's disk, and its first serial line."""

    def __init__(self, *words, shared=True, name="vm", patient=True):
        device = {"driver": "vfio-user-pci", "id": "nv0", "bootindex": 1, "socket": {"type": "unix", "path": SOCKET}}
        if patient:
            device["x-msg-timeout"] = 1000 * LONG
        command = [QEMU + "/qemu", "-accel", "tcg,thread=single", "-m", MEMORY, "-nodefaults", "-no-user-config",
                   "-display", "none", "-serial", "stdio",
                   "-device", "isa-debug-exit,iobase=%#x,iosize=4" % bootdisk.EXIT_PORT]
        command += ["-machine", "q35"] if not shared else [
            "-machine", "q35,memory-backend=mem0", "-object", "memory-backend-memfd,id=mem0,share=on,size=" + MEMORY]
        self.log = os.path.join(WORK, name + ".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*command, *words, "-device", json.dumps(device)], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=log)
        self.out = self.process.stdout.fileno()
        os.set_blocking(self.out, False)
        self.text = b""
        self.seen = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.kill()
        if kind:
            print(self.text.decode(errors="replace").replace("\r", ""))
            with open(self.log, encoding="utf-8", errors="replace") as log:
                print(log.read())

    def read(self, seconds):
        """What has come; False at the end."""
        if select.select([self.out], [], [], seconds)[0]:
            got = os.read(self.out, 65536)
            self.text += got
            return bool(got)
        return True

    def expect(self, pattern, limit=LONG):
        """The match of the next text like that on the serial line."""
        end = time.monotonic() + limit
        while True:
            found = re.compile(pattern).search(self.text, self.seen)
            if found:
                self.seen = found.end()
                return found
            need(time.monotonic() < end, "no %r on the serial line within %d s", pattern, limit)
            need(self.read(1) or re.compile(pattern).search(self.text, self.seen), "QEMU ended before %r", pattern)

    def exits(self, status):
        """QEMU ends by itself."""
        while self.read(1):
            pass
        got = self.process.wait(LONG)
        need(got == status, "QEMU's exit status is %d and not %d", got, status)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Linux(Machine):
    """One that runs Linux with a shell on the serial line."""

    def __init__(self, initrd):
        super().__init__("-smp", "2", "-kernel", KERNEL + "/vmlinux", "-initrd", initrd, "-append",
                         "console=ttyS0 quiet loglevel=4 panic=-1 no_timer_check tsc=reliable nvme_core.io_timeout=%d "
                         "nvme_core.admin_timeout=%d" % (min(LONG // 2, 255), min(LONG // 2, 255)))
        self.booted()

    def booted(self):
        self.expect(rb"@@ ready")
        self.number = 0

    def send(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def try_run(self, command):
        """A command of the shell, in one line: (exit status, what it said)."""
        self.number += 1
        begin = self.seen
        self.send(command)
        found = self.expect(rb"@@ %d (\d+)\r?\n" % self.number)
        return int(found[1]), self.text[begin:found.start()].decode(errors="replace").replace("\r", "").strip()

    def run(self, command):
        status, text = self.try_run(command)
        need(not status, "%s: exit %d: %s", command, status, text)
        return text

    def disk(self, nsid):
        """The name of a namespace's disk."""
        return wait_for("namespace %d in the virtual machine" % nsid, lambda: self.try_run(
            'for d in /sys/block/nvme*; do [ "$(cat $d/nsid)" != %d ] || echo ${d##*/}; done' % nsid)[1])

    def complaints(self):
        return self.try_run("dmesg | grep -iE 'timeout|error|BUG|WARNING|abort|reset|corrupt|Oops|invalid|fail'")[1]


INIT = b"""#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /mnt /tmp
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
$b --install -s /bin
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo
n=0
echo "@@ ready"
while read -r line; do
	n=$((n + 1))
	eval "$line"
	echo "@@ $n $?"
done
"""


def cpio(files):
    """An archive of (name, mode, content), as the kernel takes it."""
    out = b""
    for i, (name, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")]):
        raw = name.encode() + b"\0"
        head = "070701" + "".join("%08X" % n for n in (
            i + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0))
        out += head.encode() + raw
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def busybox():
    with open("/bin/busybox", "rb") as f:
        return f.read()


def status():
    text = subprocess.run(["nvtgt-vfud", "--status", "--json"], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(text)[0]


def bios(disk):
    """SeaBIOS boots from the disk, reads and writes."""
    with Machine() as vm:
        vm.expect(re.escape(bootdisk.TEXT.strip()))
        vm.expect(re.escape(bootdisk.WRITTEN.strip()))
        vm.exits(2 * bootdisk.EXIT_VALUE + 1)
    with open(disk, "rb") as f:
        need(bootdisk.copied(f.read()), "what SeaBIOS has written is not on the disk")


def efi(_):
    """OVMF boots from the disk."""
    variables = os.path.join(WORK, "vars.fd")
    with open(QEMU + "/firmware/OVMF_VARS_4M.fd", "rb") as f, open(variables, "wb") as to:
        to.write(f.read())
    with Machine("-drive", "if=pflash,unit=0,format=raw,readonly=on,file=%s/firmware/OVMF_CODE_4M.fd" % QEMU,
                 "-drive", "if=pflash,unit=1,format=raw,file=" + variables) as vm:
        vm.expect(rb"BdsDxe: starting Boot\w+ .*/NVMe\(0x1,")
        vm.expect(re.escape(bootdisk.EFI_WORD.strip()))
        vm.exits(2 * bootdisk.EXIT_VALUE + 1)


def private(_):
    """Without share=on there is no disk, and the daemon says why."""
    with Machine(shared=False) as vm:
        wait_for("the daemon's advice", lambda: b"share=on" in open(os.environ["VFUD_LOG"], "rb").read())
        need(vm.process.poll() is None, "QEMU has ended")


def image(path):
    with open(path, "wb") as f:
        f.write(bootdisk.image())


if __name__ == "__main__":
    {"bios": bios, "efi": efi, "private": private, "image": image}[sys.argv[1]](*sys.argv[2:])
