#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a device with poll queues is polled by the reactor, which sleeps when nothing is out
# kernels: all
# nightly: 6.1
# timeout: 180
# variants: rdma

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
target_is_nvtgt || skip "nvmet does not poll"
TRACE=/sys/kernel/tracing
mountpoint -q "$TRACE" || mount -t tracefs tracefs "$TRACE"

# null_blk completes what is on a poll queue when it is polled, and not before
nullb=$(null_blk_make size=64 poll_queues=2)
grep -qx poll /sys/kernel/debug/block/"${nullb##*/}"/hctx*/type || fail "$nullb has no poll queue"
forget_probe() {
	echo 0 >"$TRACE/events/nvtgt_test/enable"
	echo '-:nvtgt_test/polls' >>"$TRACE/kprobe_events"
	echo 1 >"$TRACE/tracing_on"
}
# the debug kernel has no probes: there, that data come back at all says that they were polled for
COUNT=
if [ -z "${DEBUG_KERNEL-}" ]; then
	COUNT=1
	echo 'p:nvtgt_test/polls null_poll' >>"$TRACE/kprobe_events"
	defer forget_probe
	echo 0 >"$TRACE/tracing_on"
	echo 1 >"$TRACE/events/nvtgt_test/enable"
fi
polls() { [ -z "$COUNT" ] || awk '$1 == "polls" { print $2 }' "$TRACE/kprobe_profile"; }

simple_target testnqn "$nullb"
disk=$(host_connect testnqn --nr-io-queues=2)

note "what is written is read"
before=$(polls)
fio_verify "$disk" --size=8m
fio_verify "$disk" --size=8m --bsrange=512-256k --iodepth=64 --numjobs=2 --offset_increment=16m
[ -z "$COUNT" ] || [ "$(polls)" -gt "$((before + 100))" ] || fail "$(polls) polls and $before before: nobody polls"

note "nothing is out: nobody polls"
quiet() { local n; n=$(polls); sleep 1; [ "$(polls)" = "$n" ]; }
wait_for 30 quiet || fail "it polls without end"

note "more commands than the device has tags"
set_attr subsystems/testnqn/namespaces/1/enable 0
few=$(null_blk_make size=64 poll_queues=2 hw_queue_depth=2)
set_attr subsystems/testnqn/namespaces/1/device_path "$few"
set_attr subsystems/testnqn/namespaces/1/enable 1
wait_for 20 has_disk "$(ctrl_of testnqn)" || fail "the namespace does not come back"
disk=$(disk_of "$(ctrl_of testnqn)")
fio_verify "$disk" --size=8m --iodepth=64 --numjobs=2 --offset_increment=16m
wait_for 30 quiet || fail "it polls without end"

note "queues that move, a device that goes away under load"
fio_background "$disk" --rw=randrw --iodepth=32 --numjobs=2
for i in 1 2 3 4 5 6; do
	# queues over RDMA stay where they are
	over_rdma || in_tgt unshare -m sh -c "mount -t sysfs sysfs /sys && \
		echo $((i % 2 + 1)) >/sys/class/net/tgt0/queues/rx-0/rps_cpus"
	needs_progress "$disk"
done
set_attr subsystems/testnqn/namespaces/1/enable 0
wait "$FIO_PID" || true
wait_for 30 quiet || fail "it polls without end"
set_attr subsystems/testnqn/namespaces/1/enable 1
wait_for 20 has_disk "$(ctrl_of testnqn)" || fail "the namespace does not come back"

note "without it, if the administrator says so"
module_param nvtgt-bdev poll_queues N
disk=$(disk_of "$(ctrl_of testnqn)")
before=$(polls)
fio_verify "$disk" --size=1m
[ "$(polls)" = "$before" ] || fail "it polls all the same"
host_disconnect testnqn
