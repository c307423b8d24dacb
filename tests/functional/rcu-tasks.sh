#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a reactor that never sleeps does not hold up RCU-tasks grace periods: a function tracer of the
# kernel's can be taken away
# kernels: all
# cpus: 4
# timeout: 240

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
target_is_nvtgt || skip "nvmet has no reactors"
TRACE=/sys/kernel/tracing
mountpoint -q "$TRACE" || mount -t tracefs tracefs "$TRACE"
grep -qw function "$TRACE/available_tracers" || skip "this kernel has no function tracer"

# three CPUs ask, one answers, and what it waits for it polls
need_modules tcp bdev
make_networks
make_subsystem testnqn
make_namespace testnqn 1 "$(null_blk_make size=64 poll_queues=1)"
make_port 1 "$TGT_IP" param_cpus=0
link_port 1 testnqn
module_param nvtgt spin_us 1000
disk=$(host_connect testnqn --nr-io-queues=3 --data-digest)
fio_background "$disk" --rw=randread --bs=16k --iodepth=64 --numjobs=3 --cpus_allowed=1-3 --cpus_allowed_policy=split \
	--verify=0
needs_progress "$disk"
thread=$(pgrep -x nvtgt/0)
sleeps() { awk '/^voluntary_ctxt_switches/ { print $2 }' "/proc/$thread/status"; }

# an instance's tracer has a trampoline of its own, which goes when no task can be on it
INSTANCE=$TRACE/instances/nvtgt_test
switch_tracer() {
	mkdir "$INSTANCE"
	echo 'vfs_statx' >"$INSTANCE/set_ftrace_filter"
	echo function >"$INSTANCE/current_tracer"
	echo nop >"$INSTANCE/current_tracer"
	rmdir "$INSTANCE"
	touch "$WORK/switched"
}

before=$(sleeps)
start=$SECONDS
switch_tracer &
switcher=$!
switched() { [ -e "$WORK/switched" ] || ! kill -0 $switcher 2>/dev/null; }
wait_for 30 switched || {
	note "the reactor has slept $(($(sleeps) - before)) times in $((SECONDS - start)) s"
	stop_load "$FIO_PID"
	wait_for 60 switched || true
	fail "a function tracer could not be taken away while a reactor was busy"
}
wait $switcher || fail "the tracer"
note "switched in $((SECONDS - start)) s; the reactor slept $(($(sleeps) - before)) times"
stop_and_check "$FIO_PID"
