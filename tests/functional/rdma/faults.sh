#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: an RDMA device that goes away under load: connections end, the port waits for the device and
# listens again when it is back; shared receive queues grow under load
# kernels: all
# timeout: 300

TRANSPORT=rdma
. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
simple_target testnqn "$(null_blk_make size=64)"
device=${RDMA_DRIVER}0
make_null_namespace testnqn 2 size=1g,delay_us=2000
queues=/sys/kernel/debug/nvtgt/connections
no_queues() { [ -z "$(cat $queues)" ]; }	# the file says that it has no bytes
# Both ends are on one device. The host's side goes with it, or, if its connection
# has ended before, comes back with it.
connect() {
	wait_for 90 settled || fail "the host's controller is $(ctrl_state "$(ctrl_of testnqn)")"
	if ! no_controllers; then
		disk=$(disk_of "$ctrl" 1)
		return
	fi
	disk=$(host_connect testnqn --reconnect-delay=1 --nr-io-queues=2) || fail "connect"
	ctrl=$(ctrl_of testnqn)
	wait_for 20 has_disk "$ctrl" 2 || fail "no second disk"
}
settled() { no_controllers || ctrl_is "$(ctrl_of testnqn)" live; }
log_mark
connect
grep -q 'qid 1 live' $queues || fail "debugfs does not show the queue: $(cat $queues)"

note "more commands than the shared receive queues begin with"
fio_verify "$disk" --iodepth=128 --numjobs=4 --offset_increment=8m || fail "many commands at once"

for round in 1 2 3; do
	note "the device goes, round $round"
	fio_background "$disk" --iodepth=32 --bsrange=4k-256k
	loads=("$FIO_PID")
	fio_background "$(disk_of "$ctrl" 2)" --iodepth=32
	loads+=("$FIO_PID")
	needs_progress "$disk" || fail "no I/O"
	rdma link delete "$device"
	wait_for 30 no_queues || fail "connections are left: $(cat $queues)"
	wait_for 30 log_has 'port 1: no RDMA device has 192.0.2.2:4420 any more' ||
		fail "the log does not say that the port waits"
	rdma link add "$device" type "$RDMA_DRIVER" netdev tgt0
	wait_for 60 log_has 'port 1: listening on 192.0.2.2:4420 again' || fail "the port does not listen again"
	log_mark
	connect
	for load in "${loads[@]}"; do stop_load "$load"; done
	fio_verify "$disk" || fail "the disk after the fault"
done
host_disconnect testnqn

note "the port goes while there is no device"
rdma link delete "$device"
wait_for 30 log_has 'port 1: no RDMA device' || fail "the log does not say that the port waits"
unlink_port 1 testnqn
rdma link add "$device" type "$RDMA_DRIVER" netdev tgt0
link_port 1 testnqn
connect
fio_verify "$disk" || fail "the disk in the end"
host_disconnect testnqn

note "an address that no RDMA device has"
set_attr_fails() { ! in_tgt ln -s "$CONFIGFS/subsystems/testnqn" "$CONFIGFS/ports/2/subsystems/testnqn" 2>/dev/null; }
make_port 2 203.0.113.77
set_attr_fails || fail "a port listens where no device is"
log_has 'cannot listen on 203.0.113.77:4420' || fail "the log does not say why"

note "a port is opened while its device comes and goes"
flap() {
	while [ ! -e "$WORK/calm" ]; do
		rdma link delete "$device"
		rdma link add "$device" type "$RDMA_DRIVER" netdev tgt0
	done
}
log_mark
flap &
flapper=$!
unlink_port 1 testnqn
opened=0 refused=0 limit=$((SECONDS + 30))
while [ "$SECONDS" -lt "$limit" ] && { [ "$opened" -lt 12 ] || [ "$refused" -lt 4 ]; }; do
	if ln -s "$CONFIGFS/subsystems/testnqn" "$CONFIGFS/ports/1/subsystems/testnqn" 2>/dev/null; then
		opened=$((opened + 1))
		unlink_port 1 testnqn
	else
		refused=$((refused + 1))
	fi
done
touch "$WORK/calm"
wait "$flapper"
note "opened $opened times, refused $refused times"
link_port 1 testnqn
connect
fio_verify "$disk" || fail "the disk after all that"
host_disconnect testnqn
