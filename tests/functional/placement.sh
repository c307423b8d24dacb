#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: queues are worked on where the network delivers, on the CPUs that their port allows, and
# elsewhere when a reactor has too much to do
# kernels: all
# cpus: 4
# nightly: 6.1 6.12
# timeout: 400

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
target_is_nvtgt || skip "nvmet has no say in where it works"
DEBUGFS=/sys/kernel/debug/$TARGET_ROOT

# steer CPU: what the target receives is received there
steer() {
	in_tgt unshare -m sh -c "mount -t sysfs sysfs /sys && \
		printf %x $((1 << $1)) >/sys/class/net/tgt0/queues/rx-0/rps_cpus" || fail "no RPS"
}

# cpus_of NQN: of its I/O queues, sorted, each once
cpus_of() {
	cat "$DEBUGFS/$1"/ctrl*/queue_cpus | awk '$1 ~ /^[0-9]+$/ && $1 > 0 { print $2 }' | sort -un | xargs
}
works_on() { [ "$(cpus_of "$1")" = "$2" ]; }
works_in() { [[ " $(cpus_of "$1")" =~ ^(\ [$2])+$ ]]; }
moves() { awk 'NR > 1 { n += $4 } END { print n + 0 }' "$DEBUGFS/reactors"; }

stop_mover() { kill "$1" 2>/dev/null || true; }

dev=$(null_blk_make size=64)
simple_target port1 "$dev"
module_param nvtgt balance_ms 0

note "a queue follows the CPU that the network delivers to"
steer 2
disk=$(host_connect port1 --nr-io-queues=2)
fio_background "$disk" --rw=randread --verify=0
wait_for 60 works_on port1 2 || fail "input comes in on CPU 2, the queues are on $(cpus_of port1)"
for cpu in 0 3 1; do
	steer $cpu
	wait_for 60 works_on port1 $cpu || fail "input comes in on CPU $cpu, the queues are on $(cpus_of port1)"
	needs_progress "$disk"
done
stop_and_check "$FIO_PID"

note "what is written while queues move is what is read"
before=$(moves)
(while :; do for cpu in 2 0 1 3; do steer $cpu; sleep 0.2; done; done) &
mover=$!
defer stop_mover "$mover"
fio_verify "$disk" --size=4m --bsrange=512-128k --iodepth=32 --numjobs=2 --offset_increment=16m
fio_verify "$disk" --rw=randrw --size=4m --bs=4k --iodepth=32 --numjobs=2 --offset_increment=16m
fio --name=long --filename="$disk" --direct=1 --ioengine=libaio --rw=randwrite --bs=16k --iodepth=16 \
	--size=16m --verify=crc32c --verify_backlog=64 --verify_fatal=1 --time_based --runtime=8 \
	--minimal >"$WORK/fio.out" 2>&1 || fail "$(tail -n 5 "$WORK/fio.out")"
kill "$mover"
[ "$(moves)" -gt "$before" ] || fail "no queue has moved: this proves nothing"
host_disconnect port1

note "two ports with CPUs of their own"
steer 0
make_subsystem port2
make_namespace port2 1 "$dev"
make_port 2 "$TGT_IP" addr_trsvcid=4421 param_cpus=1
link_port 2 port2
make_subsystem port3
make_namespace port3 1 "$dev"
make_port 3 "$TGT_IP" addr_trsvcid=4422 param_cpus=2-3
link_port 3 port3
disk2=$(PORT=4421 host_connect port2 --nr-io-queues=2)
disk3=$(PORT=4422 host_connect port3 --nr-io-queues=2)
works_on port2 1 || fail "port 2 may use CPU 1, its queues are on $(cpus_of port2)"
works_on port3 "2 3" || fail "port 3 may use CPUs 2 and 3, its queues are on $(cpus_of port3)"
fio_background "$disk2" --rw=randread
load2=$FIO_PID
fio_background "$disk3" --rw=randread --numjobs=2
load3=$FIO_PID
needs_progress "$disk2"
steer 3
wait_for 60 works_on port3 3 || fail "port 3 has its input on CPU 3, its queues are on $(cpus_of port3)"
works_on port2 1 || fail "port 2 may use CPU 1, its queues are on $(cpus_of port2)"
stop_and_check "$load2"
stop_and_check "$load3"
host_disconnect port2
host_disconnect port3

note "a reactor that has too much to do gives queues away, within the port's CPUs"
steer 0
unlink_port 1 port1
set_attr ports/1/param_cpus 0,2-3
link_port 1 port1
disk=$(host_connect port1 --nr-io-queues=4)
fio_background "$disk" --rw=randread --iodepth=64 --numjobs=4
wait_for 60 works_on port1 0 || fail "input comes in on CPU 0, the queues are on $(cpus_of port1)"
module_param nvtgt balance_load 30
module_param nvtgt balance_ms 200
shared() { [ "$(cpus_of port1 | wc -w)" -gt 1 ]; }
wait_for 90 shared || fail "all queues stay on $(cpus_of port1): $(cat "$DEBUGFS/reactors")"
works_in port1 023 || fail "port 1 may use CPUs 0, 2 and 3, its queues are on $(cpus_of port1)"
cat "$DEBUGFS/reactors"

note "and takes them home when there is room again"
stop_and_check "$FIO_PID"
module_param nvtgt balance_load 80
fio_background "$disk" --rw=randread --iodepth=1 --numjobs=4 --thinktime=50ms
wait_for 90 works_on port1 0 || fail "the queues stay on $(cpus_of port1): $(cat "$DEBUGFS/reactors")"
stop_and_check "$FIO_PID"
host_disconnect port1

note "also when each of its many queues has little to do"
module_param nvtgt balance_ms 0
host_multipath N		# a disk for each host
disks=()
for i in $(seq 30); do
	id=00000000-0000-4000-8000-$(printf %012d "$i")
	disks+=("$(host_connect port1 --hostnqn="nqn.2014-08.org.nvmexpress:uuid:$id" --hostid="$id" \
		--nr-io-queues=4 --queue-size=16)") || fail "host $i does not get in"
done
works_on port1 0 || fail "input comes in on CPU 0, the queues are on $(cpus_of port1)"
# little, also where all else is slow: on the debug kernel the reactor is busy for 6 % of the time
module_param nvtgt balance_load 3
fio_background "$(IFS=:; echo "${disks[*]}")" --rw=randread --iodepth=60 --numjobs=4 --file_service_type=roundrobin \
	--cpus_allowed=0-3 --cpus_allowed_policy=split
module_param nvtgt balance_ms 200
wait_for 90 shared || fail "all queues stay on $(cpus_of port1): $(cat "$DEBUGFS/reactors")"
cat "$DEBUGFS/reactors"
stop_and_check "$FIO_PID"
