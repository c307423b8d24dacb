#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: what a stock host wrote before it disconnected, was cut off or reset its controller never
# comes over what it writes afterwards
# variants: rdma
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
target_is_nvtgt || skip "nvmet lets the host in while the device has its old writes"
need_modules tcp bdev null
# a host that disconnects waits for its I/O, and gives it up after that
module_param nvme_core io_timeout 4
make_networks
make_subsystem testnqn
make_port 1 "$TGT_IP"
link_port 1 testnqn

# namespace 1 can be held; namespace 2 is the same medium, which cannot
raw=$(null_blk_make size=64)
dev=$(dm_make hold "0 131072 linear $raw 0")
make_namespace testnqn 1 "$dev"
make_namespace testnqn 2 "$raw"
drop_namespaces() {
	local n
	for n in "$CONFIGFS"/subsystems/testnqn/namespaces/*/; do rmdir "$n"; done
}
defer drop_namespaces
let_go() { [ "$(dmsetup info -c --noheadings -o suspended hold)" != Suspended ] || dmsetup resume --noudevsync hold; }
hold() {
	dmsetup suspend --noflush --nolockfs hold
	defer let_go
}
block() { head -c 65536 /dev/zero | tr '\0' "$1" | dd of="$2" bs=64k count=1 oflag=direct iflag=fullblock status=none; }
written() { nvme smart-log "/dev/$ctrl" -n 1 -o json | jq .host_write_commands; }
has_written() { [ "$(written)" -gt "$1" ]; }
connects() { host_connect_ctrl testnqn >/dev/null 2>&1; }
gone() {
	local left=(/sys/kernel/debug/nvtgt/testnqn/ctrl*)
	[ ${#left[@]} = 0 ]
}
cut() {
	case $1 in
	disconnect) nvme disconnect -d "$ctrl" >/dev/null ;;
	kill) ss -K dport = 4420 >/dev/null; nvme disconnect -d "$ctrl" >/dev/null ;;
	esac
}

ways=(disconnect)
over_rdma || ways+=(kill)
for way in "${ways[@]}"; do
	note "$way"
	disk=$(host_connect testnqn --keep-alive-tmo=60) || fail "connect"
	ctrl=$(ctrl_of testnqn)
	block 0 "$disk" || fail "the first write"
	before=$(written)
	hold
	block o "$disk" 2>/dev/null &
	old=$!
	wait_for 20 has_written "$before" || fail "the old write does not arrive"
	cut "$way"
	wait $old && fail "a write of which the device knows nothing succeeded"
	if connects; then
		note "$way: the host was let in while its old write is in the device"
	else
		let_go
		wait_for 30 connects || fail "$way: the host does not get in"
	fi
	ctrl=$(ctrl_of testnqn)
	wait_for 20 has_disk "$ctrl" 2 || fail "no disk for namespace 2"
	block n "$(disk_of "$ctrl" 2)" || fail "the new write"
	let_go
	sync
	host_disconnect testnqn
	wait_for 20 gone || fail "a controller stays"
	[ "$(dd if="$raw" bs=64k count=1 iflag=direct status=none | tr -d n | wc -c)" = 0 ] ||
		fail "$way: old data have come over the new ones"
done

note "resets with more writes than the device has tags"
drop_namespaces
slow=$(null_blk_make size=64 submit_queues=1 hw_queue_depth=2 irqmode=2 completion_nsec=4000000)
make_namespace testnqn 1 "$slow"
defer drop_namespaces
make_null_namespace testnqn 2 size=64m,delay_us=4000
disk=$(host_connect testnqn --reconnect-delay=1) || fail "connect"
ctrl=$(ctrl_of testnqn)
fio_background "$disk" --rw=randwrite --iodepth=96 --size=1m --verify=crc32c --verify_backlog=32 --verify_fatal=1
for round in {1..4}; do
	needs_progress "$disk" 60 || fail "reset $round: I/O stands still"
	nvme reset "/dev/$ctrl" || fail "reset $round"
	wait_for 30 ctrl_is "$ctrl" live || fail "reset $round: the host is $(ctrl_state "$ctrl")"
done
stop_and_check "$FIO_PID"
host_disconnect testnqn
