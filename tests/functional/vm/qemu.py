#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Virtual machines of a real QEMU on a socket of nvtgt-vfud: firmware boots from the disk, Linux works on it."""

import hashlib
import json
import os
import re
import select
import signal
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
# of Linux in the virtual machine: seconds; the parameter is a byte
IO_TIMEOUT = 255
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

    def __init__(self, *words, shared=True, name="vm"):
        device = {"driver": "vfio-user-pci", "id": "nv0", "bootindex": 1, "socket": {"type": "unix", "path": SOCKET},
                  # a second QEMU that is made to wait does not fail for that
                  "x-msg-timeout": 1000 * LONG}
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
            print(self.text.decode(errors="replace").replace("\r", ""), self.said(), sep="\n")

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

    def said(self):
        """What QEMU has written on stderr."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read().strip()

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
                         "nvme_core.admin_timeout=%d" % (IO_TIMEOUT, IO_TIMEOUT))
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
        return self.try_run("dmesg | grep -iE 'nvme[0-9].*(timeout|error|abort|reset|invalid|fail|remov)|I/O error|"
                            "EXT4-fs (error|warning)|BUG:|WARNING:|Oops:'")[1]


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


def bios(disk, *_):
    """SeaBIOS boots from the disk, reads and writes."""
    with Machine() as vm:
        vm.expect(re.escape(bootdisk.TEXT.strip()))
        vm.expect(re.escape(bootdisk.WRITTEN.strip()))
        vm.exits(2 * bootdisk.EXIT_VALUE + 1)
    with open(disk, "rb") as f:
        need(bootdisk.copied(f.read()), "what SeaBIOS has written is not on the disk")


def efi(*_):
    """OVMF boots from the disk."""
    variables = os.path.join(WORK, "vars.fd")
    with open(QEMU + "/firmware/OVMF_VARS_4M.fd", "rb") as f, open(variables, "wb") as to:
        to.write(f.read())
    with Machine("-drive", "if=pflash,unit=0,format=raw,readonly=on,file=%s/firmware/OVMF_CODE_4M.fd" % QEMU,
                 "-drive", "if=pflash,unit=1,format=raw,file=" + variables) as vm:
        vm.expect(rb"BdsDxe: starting Boot\w+ .*/NVMe\(0x1,")
        vm.expect(re.escape(bootdisk.EFI_WORD.strip()))
        vm.exits(2 * bootdisk.EXIT_VALUE + 1)


def private(*_):
    """Without share=on there is no disk, and the daemon says why."""
    with Machine(shared=False) as vm:
        wait_for("the daemon's advice", lambda: b"share=on" in open(os.environ["VFUD_LOG"], "rb").read())
        need(vm.process.poll() is None, "QEMU has ended")


# ------------------------------------------------------------ Linux

# in the virtual machine: a file of the program that all of it is, PIECE bytes, COPIES times
PIECE, COPIES = 256 << 10, 4
# writes, reads what is on the disk, compares: until there is /tmp/stop; /tmp/rounds counts
LOAD = ("r=0; while [ ! -e /tmp/stop ]; do r=$((r+1)); f=/mnt/load.$((r%4)); "
        "cat /tmp/data >$f && sync && echo 3 >/proc/sys/vm/drop_caches && cmp $f /tmp/data || echo $r >>/tmp/bad; "
        "echo $r >/tmp/new; mv /tmp/new /tmp/rounds; done & true")


class Counter:
    """Messages of the daemon and commands of a disk, while something runs."""

    def __init__(self, vm, disk):
        self.vm, self.disk = vm, disk

    def now(self):
        words = self.vm.run("cat /sys/block/%s/stat" % self.disk).split()
        return status()["messages"], int(words[0]) + int(words[4])

    def each(self, what, command):
        messages, commands = self.now()
        self.vm.run(command)
        end = self.now()
        messages, commands = end[0] - messages, end[1] - commands
        note("%s: %d messages for %d commands, %.2f each", what, messages, commands, messages / commands)
        # without shadow doorbells two: one for the command, one for its completion
        need(messages <= commands * 1.25, "%s: %d messages of %d commands", what, messages, commands)


def make_initrd():
    path = os.path.join(WORK, "initrd")
    with open(path, "wb") as f:
        f.write(cpio([("bin", 0o40755, b""), ("bin/busybox", 0o100755, busybox()), ("init", 0o100755, INIT)]))
    return path


def boots(vm):
    """What a Linux that has just booted finds. Returns the disk of namespace 2."""
    vectors = vm.run("grep -E 'MSI.* nvme0q[0-9]' /proc/interrupts").splitlines()
    need(len(vectors) == 3, "admin queue and one for each of two CPUs: %s", vectors)
    need(vm.run("nproc") == "2", "CPUs")
    disk = vm.disk(2)
    vm.run("head -c %d /bin/busybox >/tmp/data" % PIECE)
    vm.run("mount -t ext4 /dev/%s /mnt" % disk)
    note("Linux has its disk %s mounted; it has been up for %s s", disk, vm.run("cat /proc/uptime").split()[0])
    return disk


def files(vm):
    """Write, read back from the disk, compare."""
    vm.run("for i in $(seq %d); do cat /tmp/data; done >/mnt/kept && sync" % COPIES)
    vm.run("echo 3 >/proc/sys/vm/drop_caches")
    kept(vm)


def kept(vm):
    got = vm.run("md5sum /mnt/kept").split()[0]
    data = busybox()[:PIECE] * COPIES
    with open(os.path.join(WORK, "kept"), "wb") as f:
        f.write(data)
    need(got == hashlib.md5(data).hexdigest(), "what is in the file is not what was written")


def doorbells(vm, disk):
    """With shadow doorbells the daemon hears of few commands."""
    count = Counter(vm, disk)
    count.each("one at a time", "dd if=/dev/%s of=/dev/null bs=4k count=200 iflag=direct 2>/dev/null" % disk)
    count.each("four at a time", "for i in 0 1 2 3; do dd if=/dev/%s of=/dev/null bs=4k count=100 skip=$((i*200)) "
               "iflag=direct 2>/dev/null & done; wait" % disk)
    count.each("written through the page cache", "cat /tmp/data /tmp/data /tmp/data >/mnt/cached; sync")


def resized(vm, disk, path, loop):
    old = int(vm.run("cat /sys/block/%s/size" % disk))
    size = os.path.getsize(path) + (16 << 20)
    os.truncate(path, size)
    subprocess.run(["losetup", "-c", loop], check=True)
    wait_for("the new size", lambda: int(vm.run("cat /sys/block/%s/size" % disk)) == size // 512)
    need(size // 512 > old, "%d sectors", old)


def goes_on(vm):
    """The load gets on, and has found nothing wrong."""
    begin = int(vm.run("cat /tmp/rounds 2>/dev/null || echo 0"))
    wait_for("I/O in the virtual machine", lambda: int(vm.run("cat /tmp/rounds 2>/dev/null || echo 0")) > begin + 2)
    need(vm.try_run("test -e /tmp/bad")[0], "what was read is not what was written, in round %s",
         vm.try_run("cat /tmp/bad"))


def daemon():
    """The one that a holder holds."""
    with open("/proc/%s/task/%s/children" % (2 * (os.environ["DAEMON"],)), encoding="ascii") as f:
        return f.read().strip()


def is_connected():
    try:
        return status()["state"] == "connected"
    except (subprocess.CalledProcessError, IndexError):
        return False


def replaced(vm):
    """The daemon is replaced, and killed, under I/O."""
    for number in (signal.SIGHUP, signal.SIGKILL):
        before = daemon()
        os.kill(int(os.environ["DAEMON"] if number == signal.SIGHUP else before), number)
        wait_for("another daemon", lambda: daemon() not in ("", before) and is_connected())
        goes_on(vm)


def second(vm):
    """Another QEMU is told at once that the disk has a user."""
    with Machine(name="second") as other:
        other.exits(1)
        need(other.said(), "a second QEMU ends and does not say why")
    need(vm.process.poll() is None, "the first QEMU has ended")


def linux(_, path, loop):
    """A Linux in its virtual machine, from its boot to the end of QEMU by SIGKILL."""
    with Linux(make_initrd()) as vm:
        disk = boots(vm)
        need(not vm.said(), "QEMU says: %s", vm.said())
        files(vm)
        doorbells(vm, disk)
        resized(vm, disk, path, loop)
        second(vm)
        note("I/O while the daemon is replaced")
        vm.run(LOAD)
        goes_on(vm)
        replaced(vm)
        need(not vm.complaints(), "Linux complains: %s", vm.complaints())
        note("a reset under I/O")
        vm.send("reboot -f")
        vm.booted()
        disk = boots(vm)
        kept(vm)
        files(vm)
        vm.run(LOAD)
        goes_on(vm)
        need(not vm.complaints(), "Linux complains: %s", vm.complaints())
        need(not vm.said(), "QEMU says: %s", vm.said())


def image(path):
    with open(path, "wb") as f:
        f.write(bootdisk.image())


if __name__ == "__main__":
    {"bios": bios, "efi": efi, "private": private, "linux": linux, "image": image}[sys.argv[1]](*sys.argv[2:])
