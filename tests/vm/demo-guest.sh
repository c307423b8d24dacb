#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The guest's part of tests/demo.

. "$TESTS/lib/guest.sh"

STEP=0
STEPS=8
NQN=nqn.2026-11.org.example:demo

show() {
	STEP=$((STEP + 1))
	printf '\n== %s/%s  %s\n' "$STEP" "$STEPS" "$*"
}

# run CMD...: shown as typed, its output indented
run() {
	printf '  $ %s\n' "$*"
	"$@" 2>&1 | sed 's/^/    /'
}

# clean-up for a demonstration that ends early
clear_target() { [ ! -d "$CONFIGFS" ] || nvtgtctl clear; }
leave() { no_ctrl_of "$NQN" || nvme disconnect -n "$NQN" >/dev/null; }

show "the server: nvtgt's modules, a disk of 1 GiB in memory"
run uname -r
run modprobe nvtgt-tcp
modprobe nvme-tcp
make_networks
disk=$(null_blk_make size=1024)
run lsblk -dno NAME,SIZE,LOG-SEC "$disk"

show "the server exports the disk over NVMe/TCP on $TGT_IP"
if command -v nvtgtctl >/dev/null; then
	defer clear_target
	run nvtgtctl subsystem create "$NQN" --allow-any-host
	run nvtgtctl namespace create "$NQN" --nsid 1 --device "$disk"
	# the port serves the network namespace that the server has in this guest
	printf '  $ nvtgtctl port create 1 --trtype tcp --traddr %s\n' "$TGT_IP"
	in_tgt nvtgtctl port create 1 --trtype tcp --traddr "$TGT_IP" | sed 's/^/    /'
	printf '  $ nvtgtctl port link 1 %s\n' "$NQN"
	in_tgt nvtgtctl port link 1 "$NQN" | sed 's/^/    /'
	run nvtgtctl show
else
	make_subsystem "$NQN"
	make_namespace "$NQN" 1 "$disk"
	make_port 1 "$TGT_IP"
	link_port 1 "$NQN"
	run cat "$CONFIGFS/ports/1/addr_traddr"
fi

show "the host discovers it"
run nvme discover -t tcp -a "$TGT_IP" -s 4420

show "the host connects"
defer leave
run nvme connect -t tcp -a "$TGT_IP" -s 4420 -n "$NQN"
ctrl=$(ctrl_of "$NQN")
wait_for 30 has_disk "$ctrl" || fail "no disk appeared"
disk=$(disk_of "$ctrl")
run nvme list

show "a file system, a file tree on it, and the tree again after a reconnect"
tree=/usr/lib/python3.13
[ -d "$tree" ] || tree=/usr/lib/python3
run mkfs.ext4 -q "$disk"
run mkdir -p /mnt/demo
run mount "$disk" /mnt/demo
defer umount_if /mnt/demo
run cp -r "$tree" /mnt/demo/tree
run du -sh /mnt/demo/tree
run umount /mnt/demo
run nvme disconnect -n "$NQN"
wait_for 20 no_ctrl_of "$NQN" || fail "the controller stayed"
run nvme connect -t tcp -a "$TGT_IP" -s 4420 -n "$NQN"
ctrl=$(ctrl_of "$NQN")
wait_for 30 has_disk "$ctrl" || fail "no disk appeared"
disk=$(disk_of "$ctrl")
run mount "$disk" /mnt/demo
run diff -r "$tree" /mnt/demo/tree
echo "    no difference: $(find /mnt/demo/tree -type f | wc -l) files are the same byte for byte"
run umount /mnt/demo

slow=
[ "${BENCH_ACCEL-}" = kvm ] ||
	slow=" (this guest's CPU is emulated: a real one is some hundred times faster)"
show "fio's figures$slow"
for job in "randread 4k 32" "randwrite 4k 32" "read 128k 8"; do
	read -r rw bs depth <<<"$job"
	printf '  $ fio --rw=%s --bs=%s --iodepth=%s --runtime=4 …\n' "$rw" "$bs" "$depth"
	fio --name=demo --filename="$disk" --direct=1 --ioengine=libaio --rw="$rw" --bs="$bs" \
		--iodepth="$depth" --time_based --runtime=4 --size=256m --output-format=json \
		>"$WORK/fio.json"
	python3 - "$WORK/fio.json" <<-'PYTHON'
	import json, sys
	with open(sys.argv[1]) as file:
	    job = json.load(file)["jobs"][0]
	for way in ("read", "write"):
	    side = job[way]
	    if side["total_ios"]:
	        print(f"    {side['iops']:8.0f} IOPS  {side['bw'] / 1024:8.1f} MiB/s  "
	              f"mean latency {side['clat_ns']['mean'] / 1000:.0f} us")
	if job["error"]:
	    sys.exit("fio reports an error")
	PYTHON
done

show "the host leaves"
run nvme disconnect -n "$NQN"
wait_for 20 no_ctrl_of "$NQN" || fail "the controller stayed"

show "the server takes the export back and unloads the modules"
if command -v nvtgtctl >/dev/null; then
	run nvtgtctl clear
else
	drop_port 1
	drop_subsystem "$NQN"
fi
for m in nvtgt_tcp nvtgt_bdev nvtgt; do
	! grep -q "^$m " /proc/modules || run rmmod "$m"
done
