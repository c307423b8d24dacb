#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run functional tests in guests.

Reads a plan (JSON) and prints one line per test as it ends:
    ok|fail|skip <TAB> name <TAB> seconds <TAB> reason

Each of the plan's slots holds one guest at a time. A guest takes tests of
its kind (kernel, CPUs, words on the command line) one after another; when it dies, hangs or says that it is no good
any more, the test it ran has its verdict and a new guest takes the rest.
"""

import ctypes
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

BOOT_SECONDS = 240
# what a boot takes on an idle machine without KVM, roughly
BOOT_USUAL = 9
# TCG's own trouble, not the tested code's: worth one more attempt
BENCH_TROUBLE = (b"IO-APIC + timer doesn't work", b"Oops: int3")

PR_SET_PDEATHSIG = 1

lock = threading.Lock()


def say(text):
    print(text, file=sys.stderr, flush=True)


class Guest:
    """One running QEMU and the line to the agent in it."""

    def __init__(self, plan, kernel, number, cpus=2, more=""):
        self.plan = plan
        self.kernel = plan["kernels"][kernel]
        self.cpus = cpus
        self.more = more
        self.kind = kernel, cpus, more
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
                  ("results", self.dir, False))
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

    def bench_trouble(self):
        try:
            with open(self.console, "rb") as log:
                data = log.read()
        except OSError:
            return False
        return any(words in data for words in BENCH_TROUBLE)


class Runner:
    def __init__(self, plan):
        self.plan = plan
        self.queues = {}
        for test in plan["tests"]:
            self.queues.setdefault(self.kind(test), []).append(test)
        self.busy = {}
        self.booting = {}
        self.guests = []
        self.counter = 0

    @staticmethod
    def kind(test):
        return test["kernel"], test["cpus"], test["append"]

    def report(self, verdict, test, seconds, reason=""):
        name = f"{test['name']}[{test['kernel']}]"
        reason = reason.replace("\t", " ")
        with lock:
            print(f"{verdict}\t{name}\t{seconds:.0f}\t{reason}", flush=True)

    def take(self, kind):
        with lock:
            queue = self.queues[kind]
            return queue.pop(0) if queue else None

    def put_back(self, test):
        with lock:
            self.queues[self.kind(test)].insert(0, test)

    def choose(self):
        """The kind with the most left to do for each guest it has."""
        with lock:
            left = [(sum(t["timeout"] for t in queue)
                     / (1 + self.busy.get(kind, 0)), kind)
                    for kind, queue in self.queues.items()
                    if len(queue) > self.booting.get(kind, 0)]
            if not left:
                return None
            kind = max(left)[1]
            self.busy[kind] = self.busy.get(kind, 0) + 1
            self.booting[kind] = self.booting.get(kind, 0) + 1
            self.counter += 1
            return kind, self.counter

    def slot(self):
        failures = 0
        while True:
            chosen = self.choose()
            if not chosen:
                return
            kind, number = chosen
            kernel, cpus, more = kind
            guest = Guest(self.plan, kernel, number, cpus, more)
            with lock:
                self.guests.append(guest)
            try:
                started = time.monotonic()
                up = guest.boot()
                with lock:
                    self.booting[kind] -= 1
                if up:
                    failures = 0
                    guest.rate(time.monotonic() - started)
                    say(f"# guest {number} ({kernel}) is up after "
                        f"{time.monotonic() - started:.0f} s")
                    self.serve(guest)
                else:
                    failures += 1
                    say(f"# guest {number} ({kernel}) did not start: "
                        f"{guest.last_words() or 'see'} {guest.dir}")
                    # a debug kernel may boot with its checkers off
                    if failures >= (8 if kernel.endswith("-debug") else 3):
                        self.give_up(kind)
                        failures = 0
            finally:
                guest.stop()
                with lock:
                    self.busy[kind] -= 1

    def give_up(self, kind):
        while True:
            test = self.take(kind)
            if test is None:
                return
            self.report("fail", test, 0, "the guest does not boot")

    def serve(self, guest):
        while True:
            test = self.take(guest.kind)
            if test is None:
                guest.stop(gently=True)
                return
            if not self.run(guest, test):
                return

    def run(self, guest, test):
        """One test; False when the guest is of no use any more."""
        factor = guest.patience
        limit = int(test["timeout"] * factor)
        started = time.monotonic()
        guest.write(f"RUN {test['index']} {limit} {math.ceil(factor)} "
                    f"{test['name'].partition('+')[0]}")
        answer = guest.read(limit + 180 * factor)
        seconds = time.monotonic() - started
        word = answer.split(" ", 3) if answer else []
        if len(word) >= 3 and word[0] in ("END", "DIRTY"):
            reason = word[3] if len(word) > 3 else ""
            if word[2] == "fail":
                reason += f" ({guest.dir}/{test['index']}.log)"
            self.report(word[2], test, seconds, reason)
            if word[0] == "DIRTY":
                guest.stop(gently=True)
                return False
            return True
        dead = guest.died()
        if dead and guest.bench_trouble() and not test.get("again"):
            test["again"] = True
            say(f"# {test['name']}: TCG broke the guest, once more")
            self.put_back(test)
            return False
        why = "the guest died" if dead else "the guest hangs"
        words = guest.last_words()
        self.report("fail", test, seconds,
                    f"{why}{': ' + words if words else ''} ({guest.console})")
        return False

    def go(self):
        threads = [threading.Thread(target=self.slot, daemon=True)
                   for _ in range(min(self.plan["jobs"],
                                      len(self.plan["tests"])))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def stop(self, *_):
        with lock:
            guests = list(self.guests)
        for guest in guests:
            if guest.process and guest.process.poll() is None:
                guest.process.kill()
        os._exit(130)


def main():
    with open(sys.argv[1], encoding="utf-8") as text:
        plan = json.load(text)
    if plan.get("shell"):
        guest = Guest(plan, plan["shell"], 0)
        command = guest.command(shell=True) + ["-serial", "mon:stdio"]
        os.execvp(command[0], command)
    runner = Runner(plan)
    signal.signal(signal.SIGTERM, runner.stop)
    signal.signal(signal.SIGINT, runner.stop)
    # whoever started us may be killed: then we end, and the guests with us
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    runner.go()


if __name__ == "__main__":
    main()
