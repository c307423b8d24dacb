#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a host that sends its keep alive commands keeps its controller, though the reactor that has to
# take them gets no CPU for longer than the time-out
# timeout: 120

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
target_is_nvtgt || skip "nvmet has no reactors"
hostile_target
make_port 2 "$TGT_IP" addr_trsvcid=4421 param_cpus=1
link_port 2 "$HOSTILE"
old=$(cat /proc/sys/kernel/sched_rt_runtime_us)
defer restore_param /proc/sys/kernel/sched_rt_runtime_us "$old"
echo -1 >/proc/sys/kernel/sched_rt_runtime_us
# from 6.12 on other tasks get some of the CPU all the same
f=/sys/kernel/debug/sched/fair_server/cpu1/runtime
if [ -e "$f" ]; then
	defer restore_param "$f" "$(cat "$f")"
	echo 0 >"$f"
fi
log_mark
NVTGT_PORT=4421 taskset -c 0 python3 "$TESTS/functional/starved.py" || fail "starved.py: cases went wrong"
! log_has "nothing heard" || fail "a host that spoke was not heard"
