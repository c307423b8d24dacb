#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a CPU goes offline and comes back under I/O: its queues go on elsewhere meanwhile, afterwards its
# reactor is bound to it again and has queues again
# kernels: all
# cpus: 4
# variants: rdma
# nightly: rdma
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
target_is_nvtgt || skip "nvmet has no reactors"
DEBUGFS=/sys/kernel/debug/$TARGET_ROOT

cpus_of() {
	cat "$DEBUGFS/$1"/ctrl*/queue_cpus | awk '$1 ~ /^[0-9]+$/ { print $2 }' | sort -un | xargs
}
works_on() { [ "$(cpus_of "$1")" = "$2" ]; }
keeps_off() { [[ " $(cpus_of "$1") " != *" $2 "* ]]; }

# bound CPU: its reactor, if it has been started, may run there only
bound() {
	local pid
	pid=$(pgrep -x "nvtgt/$1") || return 0
	[ "$(awk '/^Cpus_allowed_list:/ { print $2 }' "/proc/$pid/status")" = "$1" ]
}
status_of() { grep -Hs . "$DEBUGFS/reactors" "$DEBUGFS"/*/ctrl*/queue_cpus | cat; }

online() {
	echo "$2" >"/sys/devices/system/cpu/cpu$1/online"
}

cpu_back() { [ "$(cat "/sys/devices/system/cpu/cpu$1/online")" = 1 ] || online "$1" 1; }

# leaves CPU...: they go offline one after another; nothing but what is fixed to them stays there
leaves() {
	local cpu
	for cpu in "$@"; do online "$cpu" 0; done
	for cpu in "$@"; do
		over_rdma || wait_for 20 keeps_off anywhere "$cpu" || fail "CPU $cpu is offline: $(status_of)"
	done
	for disk in "${disks[@]}"; do needs_progress "$disk"; done
}

returns() {
	local cpu
	for cpu in "$@"; do online "$cpu" 1; done
	for cpu in "$@"; do
		wait_for 20 bound "$cpu" || fail "CPU $cpu is back, and its reactor is not bound to it"
	done
	for disk in "${disks[@]}"; do needs_progress "$disk"; done
}

for cpu in 1 2 3; do
	[ -w "/sys/devices/system/cpu/cpu$cpu/online" ] || skip "CPU $cpu cannot go offline here"
	defer cpu_back $cpu
done
need_modules tcp bdev
make_networks
id=0
disks=()
# whoever may work on any CPU, on two, on one
for name in anywhere:0-3 two:2-3 one:3; do
	id=$((id + 1))
	make_subsystem "${name%:*}"
	make_namespace "${name%:*}" 1 "$(null_blk_make size=32)"
	make_port $id "$TGT_IP" addr_trsvcid=$((4419 + id)) "param_cpus=${name#*:}"
	link_port $id "${name%:*}"
	disks+=("$(PORT=$((4419 + id)) host_connect "${name%:*}" --nr-io-queues=3)")
done
works_on one 3 || fail "port 3 may use CPU 3: $(status_of)"
log_mark
loads=()
for disk in "${disks[@]}"; do
	fio_background "$disk" --rw=randwrite --iodepth=4 --size=8m --rate_iops=200 --verify=crc32c --verify_backlog=64 --verify_fatal=1
	loads+=("$FIO_PID")
done
for disk in "${disks[@]}"; do needs_progress "$disk"; done

note "one after another"
for cpu in 3 1; do
	leaves $cpu
	returns $cpu
done
note "all that a port may use, and all but the first"
leaves 2 3
leaves 1
returns 3 1 2

note "each has its queues again"
wait_for 20 works_on one 3 || fail "port 3 may use CPU 3: $(status_of)"
in_two() { [[ " $(cpus_of two)" =~ ^(\ [23])+$ ]]; }
wait_for 20 in_two || fail "port 2 may use CPUs 2 and 3: $(status_of)"
for cpu in 0 1 2 3; do bound $cpu || fail "the reactor of CPU $cpu is not bound to it"; done
status_of

note "while nobody has much to do, and a reactor that starts meanwhile"
for pid in "${loads[@]}"; do stop_and_check "$pid"; done
leaves_idle() { online 3 0; online 3 1; }
leaves_idle
leaves_idle
wait_for 20 bound 3 || fail "CPU 3 is back, and its reactor is not bound to it"
for disk in "${disks[@]}"; do fio_verify "$disk" --size=1m; done
! log_has 'nvme.*(timeout|resetting|reconnect)|I/O error' || fail "a host was disturbed"
