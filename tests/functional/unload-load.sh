#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: every module unloads the moment the configuration is gone, also right after heavy load
# variants: rdma iwarp
# timeout: 180

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
target_is_nvtgt || skip "the modules are nvtgt's own"
host_multipath N
make_networks
dev=$(null_blk_make size=64)
log_mark
for round in 1 2 3; do
	modprobe nvtgt
	make_subsystem testnqn
	make_namespace testnqn 1 "$dev"
	make_null_namespace testnqn 2 size=1g,delay_us=2000
	make_port 1 "$TGT_IP"
	link_port 1 testnqn
	# a controller that is cut off goes away by itself
	ctrl=$(host_connect_ctrl testnqn --ctrl-loss-tmo=0 --reconnect-delay=1) || fail "connect"
	wait_for 20 has_disk "$ctrl" 2 || fail "no disk"
	wait_for 20 has_disk "$ctrl" 1 || fail "no disk"
	disk=$(disk_of "$ctrl" 1) two=$(disk_of "$ctrl" 2)
	fio_background "$disk" --rw=randrw --iodepth=64 --bs=16k
	one_pid=$FIO_PID
	fio_background "$two" --rw=randrw --iodepth=64 --bs=64k
	needs_progress "$disk" || fail "no I/O"
	needs_progress "$two" || fail "no I/O"
	drop_port 1
	drop_subsystem testnqn
	for m in "nvtgt_$TRANSPORT" nvtgt_bdev nvtgt_null nvtgt; do
		rmmod $m || fail "round $round: $m does not unload, $(grep "^nvtgt" /proc/modules)"
	done
	stop_load "$one_pid"
	stop_load "$FIO_PID"
	wait_for 60 no_ctrl_of testnqn || fail "round $round: the host's controller is $(ctrl_state "$ctrl")"
	[ -z "$(grep ^nvtgt /proc/slabinfo)" ] || fail "slabs: $(grep ^nvtgt /proc/slabinfo)"
done

note "modules take what they need, and no more"
modprobe "nvtgt-$TRANSPORT"
[ -d /sys/module/nvtgt ] || fail "nvtgt-$TRANSPORT without nvtgt"
[ ! -d /sys/module/nvtgt_bdev ] || fail "nvtgt-bdev was not asked for"
modprobe -r "nvtgt-$TRANSPORT"
[ ! -d /sys/module/nvtgt ] || fail "nvtgt stays"
modprobe nvtgt
make_subsystem again
make_port 2 "$TGT_IP"
[ ! -d /sys/module/nvtgt_$TRANSPORT ] || fail "nvtgt-$TRANSPORT is there before it is needed"
link_port 2 again
[ -d /sys/module/nvtgt_$TRANSPORT ] || fail "a link does not load nvtgt-tcp"
expect_failure rmmod "nvtgt_$TRANSPORT" 2>/dev/null
make_namespace again 1 "$dev"
[ -d /sys/module/nvtgt_bdev ] || fail "enabling does not load nvtgt-bdev"
expect_failure rmmod nvtgt_bdev 2>/dev/null
