#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: more commands at once than a shared receive queue has entries: over RoCE hosts wait for it, over
# iWARP, which ends the connection of a SEND that finds no receive, no queue shares any
# variants: iwarp iwarp@7.2
# timeout: 180

TRANSPORT=rdma
. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules
modprobe nvtgt-rdma srq_size=256
need_modules tcp null
make_networks
make_subsystem testnqn
make_null_namespace testnqn 1 size=1g
# one reactor: all of them receive where it does
make_port 1 "$TGT_IP" param_cpus=0
link_port 1 testnqn
queues=/sys/kernel/debug/nvtgt-rdma/queues

disks=()
for n in 1 2 3; do
	ctrl=$(host_connect_ctrl testnqn --duplicate-connect --nr-io-queues=2 --queue-size=128 --reconnect-delay=1 \
		--hostnqn="nqn.2026-11.test:burst-$n" --hostid="00000000-0000-0000-0000-00000000000$n") || fail "connect $n"
	wait_for 20 has_disk "$ctrl" 1 || fail "no disk of $ctrl"
	disks+=("$(disk_of "$ctrl" 1)")
done
log_mark
pids=()
for disk in "${disks[@]}"; do
	fio --name=burst --filename="$disk" --direct=1 --ioengine=libaio --rw=randwrite --bs=4k --iodepth=256 \
		--iodepth_batch=128 --iodepth_low=1 --number_ios=4000 --minimal >"$WORK/fio.${disk##*/}" 2>&1 &
	pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || { tail -n 5 "$WORK"/fio.*; fail "a burst of writes"; }; done
[ -n "${DEBUG_KERNEL-}" ] || ! log_has 'nvme.*(timeout|resetting|reconnect|starting error recovery)' ||
	fail "a connection was disturbed"
note "$(grep -c live $queues) connections"
for disk in "${disks[@]}"; do nvme disconnect -d "${disk%n*}" >/dev/null; done
