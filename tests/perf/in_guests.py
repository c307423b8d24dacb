#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Both targets beside each other in guests; tests/perf/in-guests is the front and says what for."""

import argparse
import base64
import fnmatch
import json
import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../vm"))
from guests import Guest  # noqa: E402
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import report as report_rows  # noqa: E402

TARGETS = {"nvmet": 4420, "nvtgt": 4421}
PATIENCE = 900
ADDRESS = "192.0.2.1"

# name, fio's words, I/Os
INSTRUCTIONS = [
    ("4k-read-qd1", "--rw=randread --bs=4k --iodepth=1", 6000),
    ("4k-read-qd32", "--rw=randread --bs=4k --iodepth=32", 12000),
    ("4k-write-qd32", "--rw=randwrite --bs=4k --iodepth=32", 12000),
    ("128k-read-qd4", "--rw=randread --bs=128k --iodepth=4", 600),
    ("128k-write-qd4", "--rw=randwrite --bs=128k --iodepth=4", 600),
]
# over RDMA a host has 128 entries, and no TCP that would make batches
RDMA = [
    ("4k-read-qd1", "--rw=randread --bs=4k --iodepth=1", 4000),
    ("4k-write-qd1", "--rw=randwrite --bs=4k --iodepth=1", 4000),
    ("4k-read-qd32", "--rw=randread --bs=4k --iodepth=32", 8000),
    ("4k-write-qd32", "--rw=randwrite --bs=4k --iodepth=32", 8000),
    ("128k-read-qd16", "--rw=randread --bs=128k --iodepth=16", 400),
    ("128k-write-qd16", "--rw=randwrite --bs=128k --iodepth=16", 400),
]
# what is counted on the target beside them: event, key, what of its keys
COUNTED = [
    ("send doorbells", "perf/rxe_post_send", "common_pid", "."),
    ("receive doorbells", "perf/rxe_post_recv perf/rxe_post_srq_recv", "common_pid", "."),
    ("completions", "perf/rxe_cq_post", "common_pid", "."),
    ("allocations", "kmem/kmalloc kmem/kmem_cache_alloc kmem/kmalloc_node kmem/kmem_cache_alloc_node", "call_site.sym",
     "nvmet|nvtgt|sgl_|rdma_rw|bio_|mempool|bvec_"),
    ("pages", "kmem/mm_page_alloc", "order", "."),
    ("works queued", "workqueue/workqueue_queue_work", "function.sym", "nvmet|nvtgt|ib_cq"),
]
# name, queues of the host, whether 1 MiB reads run beside
LATENCY = [("alone", 1, False), ("other-queue", 2, True), ("same-queue", 1, True)]

# name, whether a process wants the reactor's CPU for itself
SPIN = [("spare", False), ("busy", True)]

# commands in a row of the gate: a second or two each
GATE_SMALL, GATE_LARGE = 6000, 800
# a virtual machine's controller, beside the row of the bench that has the same commands over TCP
VM = [
    ("4k-read-qd1", "--depth 1 --ios 20000"),
    ("4k-read-qd32", "--depth 32 --ios 60000"),
    ("4k-write-qd32", "--depth 32 --ios 60000 --write"),
]
VM_PORT = r"""
set -e
modprobe nvtgt-vfu
cd /sys/kernel/config/nvtgt
mkdir ports/2
echo vfio-user >ports/2/addr_trtype
echo /run/vm >ports/2/addr_traddr
ln -s /sys/kernel/config/nvtgt/subsystems/nvtgt-bench ports/2/subsystems/nvtgt-bench
"""
GATE_LIMIT = 1.02


def gate_rows():
    """name, the words of a job: the bench's six, and what a host may turn on or off."""
    for suffix, more in (("", ""), ("/noflow", " flow=0"), ("/digests", " hdgst=1 ddgst=1")):
        for name, words, _, _ in report_rows.GOALS:
            yield name + suffix, "%s%s ios=%d" % (words, more, GATE_LARGE if "131072" in words else GATE_SMALL)
    for name, words in VM:
        yield "vm-" + name, words


USES = {"instructions": INSTRUCTIONS, "rdma": RDMA, "rdma-counts": RDMA, "latency": LATENCY, "spin": SPIN,
        "gate": list(gate_rows())}

TARGET = r"""
set -e
modprobe null_blk nr_devices=1 gb=1
modprobe nvmet-TRANSPORT
modprobe nvtgt-TRANSPORT
modprobe nvtgt-bdev
for root in nvmet nvtgt; do
	cd /sys/kernel/config/$root
	mkdir ports/1 subsystems/$root-bench subsystems/$root-bench/namespaces/1
	echo 1 >subsystems/$root-bench/attr_allow_any_host
	echo /dev/nullb0 >subsystems/$root-bench/namespaces/1/device_path
	echo 1 >subsystems/$root-bench/namespaces/1/enable
	echo TRANSPORT >ports/1/addr_trtype
	echo ipv4 >ports/1/addr_adrfam
	echo ADDRESS >ports/1/addr_traddr
	[ $root = nvmet ] && echo 4420 >ports/1/addr_trsvcid || echo 4421 >ports/1/addr_trsvcid
	ln -s /sys/kernel/config/$root/subsystems/$root-bench ports/1/subsystems/$root-bench
done
""".replace("ADDRESS", ADDRESS)
WIRE = r"""
set -e
modprobe virtio_net
until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
ip addr add %s/24 dev eth0
ip link set eth0 up
[ %s != rdma ] || { modprobe rdma_rxe; rdma link add rxe0 type rxe netdev eth0; }
"""
# the host's disk of a target becomes /run/TARGET
CONNECT = r"""
set -e
modprobe nvme-%(transport)s
root=%(target)s
nvme connect -t %(transport)s -a %(address)s -s %(port)d -n $root-bench --nr-io-queues=%(queues)d --keep-alive-tmo=600 >/dev/null
disk=
for i in $(seq 300); do
	for c in /sys/class/nvme-subsystem/*; do
		[ "$(cat $c/subsysnqn)" = $root-bench ] || continue
		for n in $c/nvme*n*; do case ${n##*/} in *c*|\*) ;; *) disk=/dev/${n##*/} ;; esac; done
	done
	[ -b "$disk" ] && break
	sleep 0.1
done
[ -b "$disk" ]
ln -sfn $disk /run/$root
"""
# a target may answer while the host is still submitting: what counts is the whole time, not fio's clat
LATENCIES = "--output-format=json --lat_percentiles=1 --time_based --runtime=6 --name=small --rw=randread --bs=4k --iodepth=1 "
FIO = "fio --filename=/run/%s --direct=1 --ioengine=libaio --size=1g --randrepeat=1 --allrandrepeat=1 "


class ShellGuest(Guest):
    """A guest that runs commands."""

    def sh(self, text):
        """Run it: its output in a line."""
        self.write("SH 0 0 0 eval \"$(echo %s | base64 -d)\"" % base64.b64encode(text.encode()).decode())
        answer = self.read(PATIENCE) or "OUT 1 no answer"
        words = answer.split(" ", 2)
        if words[:2] != ["OUT", "0"]:
            sys.exit("error: %s: %s" % (self.dir, answer))
        return words[2] if len(words) > 2 else ""

    def connect(self, target, queues, transport="tcp"):
        self.sh(CONNECT % {"target": target, "address": ADDRESS, "port": TARGETS[target], "queues": queues,
                           "transport": transport})


def guest(args, number, smp, qemu=(), threads="single"):
    plan = {"results": args.work, "kernels": {args.kernel: {
                "vmlinuz": args.vmlinuz, "initrd": args.initrd, "modules": args.modules}},
            "accel": "tcg", "target": "nvtgt", "memory": 1536, "tree": args.tree,
            "image": args.image, "patience": 4, "qemu": list(qemu), "threads": threads}
    return ShellGuest(plan, args.kernel, number, smp)


def boot(*guests):
    """One after another: the first has the wire's listening end. From this thread, for they end with it."""
    for g in guests:
        if not g.boot():
            sys.exit("error: %s does not start: %s" % (g.dir, g.last_words()))


def turns(reps, rows):
    """Repetitions, rows, and targets in an order that changes."""
    for rep in range(reps):
        for row in rows:
            for target in sorted(TARGETS, reverse=bool(rep & 1)):
                yield row, target
        print("  %d of %d" % (rep + 1, reps), file=sys.stderr, flush=True)


class Counter:
    """The instructions that a guest has executed, as QEMU's plugin counts them."""

    def __init__(self, args):
        self.path = os.path.join(args.work, "counter")
        with open(self.path, "wb") as f:
            f.write(bytes(8))
        self.words = ["-plugin", "%s,counter=%s" % (args.plugin, self.path)]

    def read(self):
        with open(self.path, "rb") as f:
            return int.from_bytes(f.read(8), sys.byteorder)


def instructions(args, rows, transport="tcp"):
    """{row: {target: [instructions per I/O]}}"""
    guests = []
    counter = Counter(args)
    for number, (end, more) in enumerate((("on", ["-icount", "shift=0,sleep=on"] + counter.words), ("off", []))):
        guests.append(guest(args, number, 1, [
            "-netdev", "stream,id=wire,server=%s,addr.type=unix,addr.path=%s/wire" % (end, args.work),
            "-device", "virtio-net-pci,netdev=wire,mac=52:54:00:12:34:%02x" % number] + more))
    target, host = guests
    found = {row[0]: {t: [] for t in TARGETS} for row in rows}
    try:
        boot(target, host)
        target.sh(WIRE % (ADDRESS, transport))
        target.sh(TARGET.replace("TRANSPORT", transport))
        host.sh(WIRE % ("192.0.2.2", transport))
        for name in TARGETS:
            host.connect(name, 1, transport)
        for (row, words, ios), name in turns(args.reps, rows):
            fio = FIO % name + "--name=x --minimal --number_ios=%d " + words + " >/dev/null"
            host.sh(fio % (ios // 20))
            before = counter.read()
            host.sh(fio % ios)
            found[row][name].append((counter.read() - before) / ios)
    finally:
        for g in guests:
            g.stop()
    return found


HIST = r"""
cd /sys/kernel/tracing
[ -d events ] || mount -t tracefs tracefs .
for event in %s; do
	case $event in
	perf/*) [ -d events/$event ] || echo "p:$event ${event#*/}" >>kprobe_events ;;
	esac
	[ -d events/$event ] || continue
	key=%s
	grep -q "^hist:" events/$event/trigger || echo "hist:keys=$key" >events/$event/trigger
	%s
done"""


def hist(target, events, key, pattern, clear):
    """How often events have happened, of those whose key matches; or from now on."""
    if clear:
        target.sh(HIST % (events, key, 'echo "hist:keys=$key:clear" >>events/$event/trigger'))
        return 0
    # the line of an agent's answer has no room for many: the sum is made there
    return int(target.sh(HIST % (events, key, "cat events/$event/hist") +
                         " | awk '/hitcount:/ && /%s/ { sub(/.*hitcount: */, \"\"); n += $1 } END { print n + 0 }'" % pattern))


def counts(args, rows):
    """{row, what: {target: [times per command]}}"""
    guests = [guest(args, number, 2 - number, [
        "-netdev", "stream,id=wire,server=%s,addr.type=unix,addr.path=%s/wire" % (end, args.work),
        "-device", "virtio-net-pci,netdev=wire,mac=52:54:00:12:34:%02x" % number])
        for number, end in enumerate(("on", "off"))]
    target, host = guests
    found = {row[0] + " " + c[0]: {t: [] for t in TARGETS} for row in rows for c in COUNTED}
    try:
        boot(target, host)
        target.sh(WIRE % (ADDRESS, "rdma"))
        target.sh(TARGET.replace("TRANSPORT", "rdma"))
        host.sh(WIRE % ("192.0.2.2", "rdma"))
        for name in TARGETS:
            host.connect(name, 1, "rdma")
        for _, events, key, pattern in COUNTED:
            hist(target, events, key, pattern, True)
        for (row, words, ios), name in turns(args.reps, rows):
            fio = FIO % name + "--name=x --minimal --number_ios=%d " + words + " >/dev/null"
            host.sh(fio % (ios // 4))
            for _, events, key, pattern in COUNTED:
                hist(target, events, key, pattern, True)
            host.sh(fio % ios)
            for what, events, key, pattern in COUNTED:
                found[row + " " + what][name].append(hist(target, events, key, pattern, False) / ios)
    finally:
        for g in guests:
            g.stop()
    return found


def latency(args, rows):
    """{row: {target: [p99 of a 4k read, us]}}; the medians go into row + " median"."""
    one = guest(args, 0, 2)
    found = {row[0] + what: {t: [] for t in TARGETS} for row in rows for what in (" median", " p99")}
    try:
        boot(one)
        one.sh("ip link add dummy0 type dummy && ip addr add %s/24 dev dummy0 && ip link set dummy0 up" % ADDRESS)
        one.sh(TARGET.replace("TRANSPORT", "tcp"))
        for (row, queues, beside), name in turns(args.reps, rows):
            one.connect(name, queues)
            fio = FIO % name + LATENCIES + "--cpus_allowed=0 "
            if beside:
                fio += "--name=large --rw=read --bs=1m --iodepth=4 --cpus_allowed=%d" % (queues - 1)
            small = next(job for job in fio_jobs(one.sh(fio)) if job["jobname"] == "small")
            percentiles = small["read"]["lat_ns"]["percentile"]
            found[row + " median"][name].append(percentiles["50.000000"] / 1000)
            found[row + " p99"][name].append(percentiles["99.000000"] / 1000)
            one.sh("nvme disconnect -n %s-bench >/dev/null; rm /run/%s" % (name, name))
    finally:
        one.stop()
    return found


def fio_jobs(text):
    """What fio says of its jobs; it may have said something else before."""
    if "{" not in text:
        sys.exit("error: fio: " + text)
    return json.loads(text[text.index("{"):])["jobs"]


def spin(args, rows):
    """{row: {spin_us: [median of a 4k read, us]}}; what the hog got done goes into row + " hog"."""
    one = guest(args, 0, 2, threads="multi")
    found = {row[0] + what: {"off": [], "on": []} for row in rows for what in ((" us", " hog") if row[1] else (" us",))}
    try:
        boot(one)
        one.sh("ip link add dummy0 type dummy && ip addr add %s/24 dev dummy0 && ip link set dummy0 up" % ADDRESS)
        one.sh(TARGET.replace("TRANSPORT", "tcp"))
        # the reactor on a CPU of its own, or on the hog's
        one.sh("cd /sys/kernel/config/nvtgt/ports/1; rm subsystems/*; echo 1 >param_cpus; "
               "ln -s /sys/kernel/config/nvtgt/subsystems/nvtgt-bench subsystems/")
        one.connect("nvtgt", 1)
        for rep in range(args.reps):
            for name, hog in rows:
                for state in ("off", "on") if rep & 1 else ("on", "off"):
                    one.sh("echo %d >/sys/module/nvtgt/parameters/spin_us" % (1000 if state == "on" else 0))
                    fio = FIO % "nvtgt" + LATENCIES + "--cpus_allowed=0 "
                    if hog:
                        fio += "--name=hog --ioengine=cpuio --cpuload=100 --cpus_allowed=1"
                    jobs = {job["jobname"]: job for job in fio_jobs(one.sh(fio))}
                    found[name + " us"][state].append(
                        jobs["small"]["read"]["lat_ns"]["percentile"]["50.000000"] / 1000)
                    if hog:
                        found[name + " hog"][state].append(jobs["hog"]["usr_cpu"] + jobs["hog"]["sys_cpu"])
            print("  %d of %d" % (rep + 1, args.reps), file=sys.stderr, flush=True)
    finally:
        one.stop()
    return found


def gate(args, rows):
    """
    {row: {target: [instructions per I/O]}} in one guest with one CPU whose clock moves a nanosecond with each
    instruction: the initiator of the bench, TCP over loopback, and a target. Every run gives nearly the same.
    """
    one = guest(args, 0, 1, ["-icount", "shift=0,sleep=off"])
    found = {name: {t: [] for t in TARGETS} for name, _ in rows}
    try:
        boot(one)
        one.sh(TARGET.replace("TRANSPORT", "tcp").replace(ADDRESS, "127.0.0.1"))
        one.sh("modprobe nvtgt-perf")
        one.sh(VM_PORT)
        release = one.sh("uname -r")
        over_tcp = {name: words for name, words in gate_rows() if not words.startswith("--")}
        for (name, words), target in turns(args.reps, rows):
            # what the kernel's own target costs is a measure for another kernel: once
            if target == "nvmet" and found[name]["nvmet"]:
                continue
            if words.startswith("--") and target == "nvtgt":
                # no network, no interrupt, no idle time: what the target's threads and the guest's driver take
                out = one.sh("/usr/lib/nvtgt-tests/vmload --port 2 --no-check " + words)
                result = dict(word.split("=") for word in out.split())
                found[name][target].append((int(result["target_ns"]) + int(result["self_ns"])) / int(result["ios"]))
                continue
            if words.startswith("--"):
                words = over_tcp[name.removeprefix("vm-")]
            out = one.sh("cd /sys/kernel/debug/nvtgt-perf && echo 'nqn=%s-bench port=%d %s' >run; cat run" % (
                target, TARGETS[target], words))
            result = dict(word.split("=") for word in out.split())
            if result["error"] != "0":
                sys.exit("error: %s on %s: %s" % (name, target, out))
            found[name][target].append(int(result["cpu_ns"]) / int(result["ios"]))
    finally:
        one.stop()
    return release, {name: {t: round(statistics.median(v)) for t, v in row.items()} for name, row in found.items()}, {
        name: (max(row["nvtgt"]) - min(row["nvtgt"])) / statistics.median(row["nvtgt"]) for name, row in found.items()}


def judge(record, release, found, spread):
    """
    Compares with what was recorded: on the same kernel the instructions, on another one their ratio to those of
    the kernel's own target. Returns the rows that cost too much.
    """
    same = record.get("kernel") == release
    bad = []
    print("%-26s %9s %9s %9s  %7s  %s" % ("instructions per I/O", "nvmet", "nvtgt", "recorded", "change", "spread"))
    for name, row in found.items():
        before = record.get("rows", {}).get(name)
        change = ""
        if before:
            base = before["nvtgt"] if same else before["nvtgt"] / before["nvmet"] * row["nvmet"]
            factor = row["nvtgt"] / base
            change = "%+.1f %%" % (100 * (factor - 1))
            if factor > GATE_LIMIT:
                bad.append(name)
        else:
            bad.append(name)    # nothing guards it
        print("%-26s %9d %9d %9s  %7s  %.1f %%" % (name, row["nvmet"], row["nvtgt"], before["nvtgt"] if before else "-",
                                                 change, 100 * spread[name]))
    if not same:
        print("recorded on %s, this is %s: the change is that of the ratio to nvmet" % (record.get("kernel"), release))
    return bad


def run_gate(args, rows):
    release, found, spread = gate(args, rows)
    try:
        with open(args.record_file, encoding="utf-8") as f:
            record = json.load(f)
    except FileNotFoundError:
        record = {}
    bad = judge(record, release, found, spread)
    if args.record:
        if len(found) < len(USES["gate"]):
            if record.get("kernel") != release:
                sys.exit("the record is of %s: without all rows it cannot become one of %s" % (
                    record.get("kernel"), release))
            found = {**record["rows"], **found}
        with open(args.record_file, "w", encoding="utf-8") as f:
            json.dump({"kernel": release, "rows": found}, f, indent=1)
            f.write("\n")
        print("recorded in " + args.record_file)
    elif bad:
        sys.exit("%s: more than %.0f %% above the record, or not recorded. If that is what the change is worth, record "
                 "it and say why: tests/perf/in-guests gate --record" % (" ".join(bad), 100 * (GATE_LIMIT - 1)))


def report(what, found, columns=("nvmet", "nvtgt")):
    base, new = columns
    print("%-20s %12s %12s   %s" % (what, base, new, new + "/" + base))
    for name, values in found.items():
        middle = {t: statistics.median(v) for t, v in values.items()}
        spread = max((max(v) - min(v)) / statistics.median(v) for v in values.values())
        print("%-20s %12.0f %12.0f   %.3f   (widest spread %.1f %%)" % (
            name, middle[base], middle[new], middle[new] / middle[base], spread * 100))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    sub = parser.add_subparsers(dest="use", required=True)
    sub.add_parser("list")
    for use in USES:
        p = sub.add_parser(use)
        for name in ("kernel", "vmlinuz", "initrd", "modules", "tree", "image", "work"):
            p.add_argument("--" + name, required=True)
        p.add_argument("--reps", type=int, default=5)
        p.add_argument("--plugin")
        p.add_argument("--record", action="store_true")
        p.add_argument("--record-file")
        p.add_argument("--out")
        p.add_argument("rows", nargs="*")
    args = parser.parse_args()
    if args.use == "list":
        print("; ".join(use + ": " + " ".join(r[0] for r in rows) for use, rows in USES.items()))
        return
    rows = [r for r in USES[args.use]
            if not args.rows or any(fnmatch.fnmatch(r[0], p) for p in args.rows)]
    if not rows:
        sys.exit("error: no such row")
    if args.use == "gate":
        run_gate(args, rows)
        return
    if args.use in ("instructions", "rdma"):
        found = instructions(args, rows, "rdma" if args.use == "rdma" else "tcp")
        report("instructions/I/O", found)
    elif args.use == "rdma-counts":
        found = counts(args, rows)
        for name, values in found.items():
            print("%-36s nvmet %8.3f   nvtgt %8.3f" % (name, *(statistics.median(values[t]) for t in ("nvmet", "nvtgt"))))
    elif args.use == "latency":
        found = latency(args, rows)
        report("4k read, us", found)
    else:
        found = spin(args, rows)
        report("spinning", found, ("off", "on"))
    if args.out:
        with open(args.out, "w", encoding="utf-8") as f:
            json.dump({"kernel": args.kernel, "rows": found}, f, indent=1)


if __name__ == "__main__":
    main()
