#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a namespace, a link, a subsystem and a port removed under load: nothing hangs, and the
# host goes on when they are back
# kernels: all
# variants: no-spin one-reactor rdma rdma@6.1 rdma@7.2
# nightly: no-spin one-reactor rdma@6.1
# timeout: 240

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
dev=$(null_blk_make size=64)
need_modules tcp bdev
make_networks
uuid=01234567-89ab-cdef-0123-456789abcdef
serve() {
	make_subsystem testnqn attr_serial=4711
	make_namespace testnqn 1 "$dev" device_uuid=$uuid
	make_port 1 "$TGT_IP"
	link_port 1 testnqn
}
serve
disk=$(host_connect testnqn --reconnect-delay=1 --ctrl-loss-tmo=120) || fail "connect"
ctrl=$(ctrl_of testnqn)

# quick CMD...: it must be over soon, whatever the host does
quick() { timeout $((20 * PATIENCE)) "$@" || fail "not done in time: $*"; }

load() { fio_background "$disk" --rw=randrw --iodepth=64 --bsrange=512-64k --blockalign=512; }
back() {
	wait_for 60 ctrl_is "$ctrl" live || fail "$1: the host is $(ctrl_state "$ctrl")"
	wait_for 30 has_disk "$ctrl" || fail "$1: the disk did not come back"
	disk=$(disk_of "$ctrl")
}

note "namespace disabled"
load
needs_progress "$disk" || fail "no I/O"
quick bash -c "echo 0 >$CONFIGFS/subsystems/testnqn/namespaces/1/enable"
wait_for 30 disk_gone "$disk" || fail "the disk stays"
wait "$FIO_PID" 2>/dev/null && fail "fio ended well without its disk"
enable_namespace testnqn 1 1
back "namespace enabled"

note "namespace removed"
load
needs_progress "$disk" || fail "no I/O"
quick rmdir "$CONFIGFS/subsystems/testnqn/namespaces/1"
wait_for 30 disk_gone "$disk" || fail "the disk stays"
wait "$FIO_PID" 2>/dev/null || true
make_namespace testnqn 1 "$dev" device_uuid=$uuid
back "namespace made"

note "link removed"
load
needs_progress "$disk" || fail "no I/O"
quick rm "$CONFIGFS/ports/1/subsystems/testnqn"
wait_for 30 ctrl_is "$ctrl" connecting || fail "the host is $(ctrl_state "$ctrl")"
link_port 1 testnqn
back "link"
needs_progress "$disk" 60 || fail "the load does not go on after the link"

note "subsystem removed"
drop_port 1
drop_subsystem testnqn
wait_for 30 ctrl_is "$ctrl" connecting || fail "the host is $(ctrl_state "$ctrl")"
serve
back "subsystem"
needs_progress "$disk" 60 || fail "the load does not go on after the subsystem"
stop_and_check "$FIO_PID"
fio_verify "$disk" --size=1m || fail "I/O"
host_disconnect testnqn
