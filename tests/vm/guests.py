#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Guests, and functional tests in them.

A guest runs tests of one kind (kernel, CPUs, words on the command line) one after another. When it
dies, hangs or says that it is no good any more, the test that it ran has its verdict, and the next
one gets a new guest.

As a program: boot one with a shell, or run one script in it.
"""

import argparse
import collections
import itertools
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time

BOOT_SECONDS = 240
# what a boot takes on an idle machine without KVM, roughly
BOOT_USUAL = 9
# TCG's own trouble, not the tested code's: worth one more attempt
BENCH_TROUBLE = (b"IO-APIC + timer doesn't work", b"Oops: int3")


# ok, fail or skip, and why
Verdict = collections.namedtuple("Verdict", "word reason seconds log")


def say(text):
    print("# " + text, file=sys.stderr, flush=True)


def read_places(path):
    """What tests/vm/ready has written: {name: value}."""
    with open(path, encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(" ", 1) for line in f)


def make_plan(places, run, target="nvtgt", append="", patience=None):
    """What guests start from. run: the folder of this run, with tree and modules-KERNEL."""
    names = [name[8:] for name in places if name.startswith("vmlinuz-")]
    # the debug kernel runs by itself
    debug = any(name.endswith("-debug") for name in names)
    return {"results": run, "tree": os.path.join(run, "tree"), "image": places["image"],
            "accel": places["accel"], "target": target, "append": append,
            "shares": [(name[6:], places[name], True) for name in places if name.startswith("share-")],
            "memory": 4096 if debug else 2048, "patience": patience or (4 if debug else 1),
            "kernels": {k: {"vmlinuz": places["vmlinuz-" + k], "initrd": places["initrd-" + k],
                            "modules": os.path.join(run, "modules-" + k)} for k in names}}


class Guest:
    """One running QEMU and the line to the agent in it."""

    def __init__(self, plan, kernel, number, cpus=2, more=""):
        self.plan = plan
        self.kernel = plan["kernels"][kernel]
        self.cpus = cpus
        self.more = more
        self.kind = kernel, cpus, more
        self.number = number
        self.name = kernel
        self.dir = os.path.join(plan["results"], f"{kernel}.guest{number}")
        os.makedirs(self.dir, exist_ok=True)
        self.console = os.path.join(self.dir, "console.log")
        self.process = None
        self.line = None
        self.pending = b""
        self.patience = plan["patience"]

    def command(self, shell=False):
        kernel, plan = self.kernel, self.plan
        kvm = plan["accel"] == "kvm"
        # a guest that the machine lets wait for seconds has not locked up
        append = ("console=ttyS0 panic=-1 mitigations=off nokaslr "
                  "rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60 "
                  "slab_nomerge log_buf_len=16M kmemleak=on "
                  f"bench.kernel={self.name} bench.target={plan['target']} "
                  f"bench.accel={plan['accel']} ")
        if not kvm:
            append += "tsc=reliable no_timer_check "
        append += "bench.shell=1 loglevel=5 " if shell else "quiet "
        if self.name.endswith("-debug"):
            append += "kasan_multi_shot "
        append += " ".join((plan.get("append", ""), self.more))
        # the guest ends with us, even when we are killed
        command = ["setpriv", "--pdeathsig", "KILL",
                   "qemu-system-x86_64", "-machine", "q35", "-nodefaults",
                   "-no-reboot", "-display", "none",
                   "-cpu", "host" if kvm else "max",
                   "-accel", "kvm" if kvm else "tcg,thread=" + plan.get("threads", "single"),
                   *plan.get("qemu", []),
                   "-smp", str(self.cpus), "-m", str(plan["memory"]),
                   "-kernel", kernel["vmlinuz"], "-initrd", kernel["initrd"],
                   "-append", append,
                   "-drive", f"file={plan['image']},format=raw,if=none,"
                             "id=disk,readonly=on",
                   "-device", "virtio-blk-pci,drive=disk",
                   "-device", "virtio-rng-pci"]
        shares = (("tree", plan["tree"], True),
                  ("modules", kernel["modules"], True),
                  ("results", self.dir, False), *plan.get("shares", []))
        for tag, path, readonly in shares:
            command += ["-virtfs", f"local,path={path},mount_tag={tag},"
                        "security_model=none,multidevs=remap"
                        + (",readonly=on" if readonly else "")]
        return command

    def boot(self):
        here, there = socket.socketpair()
        self.line = here
        command = self.command() + [
            "-chardev", f"file,id=console,path={self.console}",
            "-serial", "chardev:console",
            "-chardev", f"socket,id=agent,fd={there.fileno()}",
            "-serial", "chardev:agent"]
        with open(os.path.join(self.dir, "qemu.log"), "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=(there.fileno(),), process_group=0)
        there.close()
        limit = time.monotonic() + BOOT_SECONDS * self.plan["patience"]
        while time.monotonic() < limit:
            answer = self.read(5)
            if answer == "READY":
                return True
            if answer is None and (self.process.poll() is not None or self.hopeless()):
                return False
        return False

    def hopeless(self):
        """A debug kernel that complains of itself while it boots: it may hang, and its checkers are off."""
        try:
            with open(self.console, "rb") as log:
                return self.name.endswith("-debug") and b"BUG: KASAN" in log.read()
        except OSError:
            return False

    def read(self, seconds):
        """One line of the agent; None when it is dead or silent too long."""
        limit = time.monotonic() + seconds
        while b"\n" not in self.pending:
            left = limit - time.monotonic()
            if left <= 0:
                return None
            self.line.settimeout(left)
            try:
                data = self.line.recv(4096)
            except (TimeoutError, socket.timeout):
                return None
            except OSError:
                return None
            if not data:
                return None
            self.pending += data
        text, self.pending = self.pending.split(b"\n", 1)
        return text.decode(errors="replace").strip()

    def write(self, text):
        try:
            self.line.sendall(text.encode() + b"\n")
        except OSError:
            pass

    def rate(self, seconds):
        """A machine that boots slowly runs tests slowly: more patience."""
        usual = BOOT_USUAL * self.plan["patience"]
        self.patience = self.plan["patience"] * min(8, max(1, seconds / usual))

    def died(self):
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, gently=False):
        if self.process is None:
            return
        if gently:
            self.write("QUIT")
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                pass
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.line.close()

    def last_words(self):
        """Why the guest died, as far as its console says."""
        try:
            with open(self.console, "rb") as log:
                data = log.read()
        except OSError:
            return ""
        for pattern in (rb"(Kernel panic[^\r\n]*)", rb"(BUG:[^\r\n]*)",
                        rb"(init: [^\r\n]*)"):
            found = re.findall(pattern, data)
            if found:
                return found[0].decode(errors="replace")
        return ""

    def run(self, script, index, timeout):
        """One test: its verdict, and what the guest is then: usable, dirty, dead or hung."""
        limit = int(timeout * self.patience)
        log = os.path.join(self.dir, index + ".log")
        started = time.monotonic()
        self.write("RUN %s %d %d %s" % (index, limit, math.ceil(self.patience), script))
        answer = self.read(limit + 180 * self.patience)
        seconds = time.monotonic() - started
        word = answer.split(" ", 3) if answer else []
        if len(word) >= 3 and word[0] in ("END", "DIRTY"):
            verdict = Verdict(word[2], word[3] if len(word) > 3 else "", seconds, log)
            return verdict, "usable" if word[0] == "END" else "dirty"
        state = "dead" if self.died() else "hung"
        why = "the guest " + {"dead": "died", "hung": "hangs"}[state]
        words = self.last_words()
        return Verdict("fail", "%s%s" % (why, ": " + words if words else ""), seconds, self.console), state

    def bench_trouble(self):
        try:
            with open(self.console, "rb") as log:
                data = log.read()
        except OSError:
            return False
        return any(words in data for words in BENCH_TROUBLE)


class Guests:
    """The guest that runs this process's tests, one at a time."""

    numbers = itertools.count(1)

    def __init__(self, plan, name=""):
        self.plan = plan
        self.name = name
        self.guest = None

    def stop(self, gently=True):
        if self.guest:
            self.guest.stop(gently)
        self.guest = None

    def no_good(self, kernel):
        """The file that says that no guest with this kernel boots, so that no other test waits for one."""
        return os.path.join(self.plan["results"], "no-guest." + kernel)

    def get(self, kind):
        """A guest of this kind that is up; None when it does not boot."""
        if self.guest and self.guest.kind == kind:
            return self.guest
        self.stop()
        kernel, cpus, more = kind
        if os.path.exists(self.no_good(kernel)):
            return None
        # a debug kernel may boot with its checkers off
        for _ in range(8 if kernel.endswith("-debug") else 3):
            guest = self.guest = Guest(self.plan, kernel, "%s%d" % (self.name, next(self.numbers)), cpus, more)
            started = time.monotonic()
            if guest.boot():
                took = time.monotonic() - started
                guest.rate(took)
                say("guest %s (%s) is up after %.0f s" % (guest.number, kernel, took))
                return guest
            say("guest %s (%s) did not start: %s %s" % (guest.number, kernel, guest.last_words() or "see", guest.dir))
            self.stop(gently=False)
        with open(self.no_good(kernel), "w", encoding="ascii"):
            pass
        return None

    def run(self, script, index, kind, timeout):
        """Run tests/SCRIPT.sh and keep its output as INDEX.log."""
        try:
            verdict, state = self.attempt(script, index, kind, timeout)
            if state == "dead" and self.guest.bench_trouble():
                say("%s: TCG broke the guest, once more" % index)
                self.stop(gently=False)
                verdict, state = self.attempt(script, index, kind, timeout)
        except BaseException:
            # nobody takes its answer any more
            self.stop(gently=False)
            raise
        if state != "usable":
            self.stop(gently=state == "dirty")
        return verdict

    def attempt(self, script, index, kind, timeout):
        guest = self.get(kind)
        if guest is None:
            return Verdict("fail", "the guest does not boot", 0, ""), "none"
        return guest.run(script, index, timeout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", required=True, help="what tests/vm/ready has written, by --out")
    parser.add_argument("--run", required=True, help="the run's folder: tree, modules-KERNEL, results")
    parser.add_argument("--kernel", default="6.12")
    parser.add_argument("--append", default="", help="words for the kernel's command line")
    parser.add_argument("--target", default="nvtgt")
    parser.add_argument("--timeout", type=int, default=900)
    parser.add_argument("script", nargs="?", help="below tests/, without .sh; default: a shell")
    args = parser.parse_args()
    plan = make_plan(read_places(args.plan), args.run, args.target, args.append)
    if not args.script:
        guest = Guest(plan, args.kernel, 0)
        command = guest.command(shell=True) + ["-serial", "mon:stdio"]
        os.execvp(command[0], command)
    # an end by SIGTERM takes the guest with it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    guests = Guests(plan)
    try:
        verdict = guests.run(args.script, "guest", (args.kernel, 2, ""), args.timeout)
    finally:
        guests.stop()
    if verdict.word != "ok":
        sys.exit("%s: %s\n%s" % (verdict.word, verdict.reason, verdict.log))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
