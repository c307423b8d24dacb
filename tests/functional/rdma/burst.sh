#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: more commands at once than a shared receive queue has entries: iWARP ends the connection of a SEND that
# finds no receive, so no queue shares any there
# kernels: none
# variants: iwarp iwarp@7.2
# timeout: 180

TRANSPORT=rdma
. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
over_iwarp || skip "over RoCE a host waits for a receive"
need_modules
modprobe nvtgt-rdma srq_size=256
need_modules tcp null
# each connection is a disk of its own
host_multipath N
make_networks
make_subsystem testnqn
make_null_namespace testnqn 1 size=1g
# one reactor: all of them receive where it does
make_port 1 "$TGT_IP" param_cpus=0
link_port 1 testnqn
queues=/sys/kernel/debug/nvtgt/connections

disks=()
for n in 1 2 3 4; do
	ctrl=$(host_connect_ctrl testnqn --nr-io-queues=2 --queue-size=128 --reconnect-delay=1 \
		--hostnqn="nqn.2026-11.test:burst-$n" --hostid="00000000-0000-0000-0000-00000000000$n") || fail "connect $n"
	wait_for 20 has_disk "$ctrl" 1 || fail "no disk of $ctrl"
	disks+=("$(disk_of "$ctrl" 1)")
done
log_mark
for disk in "${disks[@]}"; do
	fio_background "$disk" --rw=randwrite --iodepth=256 --iodepth_batch=128 --cpus_allowed=1
done
needs_progress "${disks[-1]}" || fail "no I/O"
# the reactor has next to no time for a while, and everybody else sends
# (timeout is no hog itself: it could not end one of its own kind)
timeout 3 chrt -f 10 taskset -c 0 sh -c 'while :; do :; done' || true
for disk in "${disks[@]}"; do needs_progress "$disk" || fail "I/O stands still"; done
[ -n "${DEBUG_KERNEL-}" ] || ! log_has 'nvme.*(timeout|resetting|reconnect|starting error recovery)' ||
	fail "a connection was disturbed"
note "$(grep -c live $queues) connections"
