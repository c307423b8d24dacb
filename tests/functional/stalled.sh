#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a device that stalls holds up its own commands only, on the same queue, in the same
# reactor, and where commands wait in workers
# kernels: all
# nightly: 6.1 7.2
# timeout: 360

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
target_is_nvtgt || skip "nvmet's workers run out"
need_modules tcp bdev null
make_networks
make_subsystem testnqn
make_port 1 "$TGT_IP"
link_port 1 testnqn
fast=$(null_blk_make size=64 cache_size=8)
make_namespace testnqn 1 "$fast"

# what the host has out to disks; a disk with several paths counts nothing itself before 6.4
outstanding() {
	local disk
	for disk; do
		disk=${disk##*/nvme}
		cat "/sys/block/nvme${disk%n*}c"*"n${disk##*n}/inflight"
	done | awk '{ sum += $1 + $2 } END { print sum }'
}
# has_out NUMBER DISK...
has_out() { [ "$(outstanding "${@:2}")" -ge "$1" ]; }
# await_out NUMBER DISK...
await_out() { wait_for 60 has_out "$@" || fail "$(outstanding "${@:2}") commands out to ${*:2} and not $1"; }
thaw() { fsfreeze -u "$WORK/fs" 2>/dev/null || true; }
# works NAME: reads, writes and flushes of the fast namespace come back
works() {
	fio --name=fast --filename="$disk" --direct=1 --ioengine=libaio --rw=randrw --bs=4k --iodepth=8 \
		--number_ios=400 --fsync=8 --minimal >"$WORK/fast.out" 2>&1 &
	local pid=$!
	ended() { ! kill -0 "$pid" 2>/dev/null; }
	wait_for 60 ended || { kill "$pid"; fail "$1: the other namespace's commands do not come back"; }
	wait "$pid" || { tail -n 5 "$WORK/fast.out"; fail "$1: the other namespace has errors"; }
}
# stall DISK DEPTH: load that stays out; sets FIO_PID
stall() {
	fio_background "$1" --rw=randwrite --iodepth="$2"
	defer thaw			# or it could not be stopped
}

# before what it stands on is taken away
drop_namespace() { rmdir "$CONFIGFS/subsystems/testnqn/namespaces/$1"; }

# a host gives a command 30 s, and on a slow guest the delays below are longer than that
[ "$PATIENCE" = 1 ] || module_param nvme_core io_timeout $((60 * PATIENCE))
disk=$(host_connect testnqn --nr-io-queues=1 --queue-size=1024)
ctrl=$(ctrl_of testnqn)

note "the null backend's delay"
delay=$((15 * PATIENCE))
[ "$delay" -le 60 ] || delay=60		# the longest that the null backend takes
make_null_namespace testnqn 2 size=64m
wait_for 20 has_disk "$ctrl" 2 || fail "no disk for namespace 2"
slow=$(disk_of "$ctrl" 2)
set_attr subsystems/testnqn/namespaces/2/backend_options "size=64m,delay_us=${delay}000000"
stall "$slow" 32
await_out 32 "$slow"
works "32 commands wait in a null namespace"
has_out 1 "$slow" || fail "the slow commands came back before the fast ones: this proves nothing"
set_attr subsystems/testnqn/namespaces/2/backend_options "size=64m,delay_us=0"
needs_progress "$slow" $((delay * 2))
stop_and_check "$FIO_PID"

note "a device mapper's delay"
modprobe dm-delay
blk=$(null_blk_make size=64)
dm=$(dm_make slow "0 131072 delay $blk 0 0 $blk 0 ${delay}000")	# writes only: the host looks for partitions
make_namespace testnqn 3 "$dm"
defer drop_namespace 3
wait_for 20 has_disk "$ctrl" 3 || fail "no disk for namespace 3"
slow=$(disk_of "$ctrl" 3)
stall "$slow" 32
await_out 32 "$slow"
works "32 commands wait in dm-delay"
has_out 1 "$slow" || fail "the slow commands came back before the fast ones: this proves nothing"
stop_and_check "$FIO_PID"

note "more writes to files than there are workers, and nothing moves in their file system"
mount_new ext4 "$(null_blk_make size=160)" "$WORK/fs"
# six disks: the host gives each its share of the queue's tags only
for n in {4..9}; do
	truncate -s 16M "$WORK/fs/file$n"
	make_namespace testnqn "$n" "$WORK/fs/file$n"
	defer drop_namespace "$n"
	wait_for 20 has_disk "$ctrl" "$n" || fail "no disk for namespace $n"
done
fsfreeze -f "$WORK/fs"
loads=()
disks=()
for n in {4..9}; do
	disks+=("$(disk_of "$ctrl" "$n")")
	stall "${disks[-1]}" 128
	loads+=("$FIO_PID")
done
await_out 520 "${disks[@]}"		# of 512 workers
works "520 commands wait in a frozen file system"
has_out 520 "${disks[@]}" || fail "the file system is not frozen: this proves nothing"
thaw
for slow in "${disks[@]}"; do needs_progress "$slow"; done
for load in "${loads[@]}"; do stop_and_check "$load"; done
fio_verify "$slow" --size=2m || fail "the file after the stall"
host_disconnect testnqn
