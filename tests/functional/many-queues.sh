#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: the queues that a host gets: as many as it asks for, as many as attr_qid_max allows, of
# the depth that the port allows
# variants: rdma iwarp
# timeout: 150

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
dev=$(null_blk_make size=64)
simple_target testnqn "$dev"
make_port 2 "$TGT_IP" addr_trsvcid=4421 param_max_queue_size=16
link_port 2 testnqn
queues() { cat "/sys/class/nvme/$1/queue_count"; }
has_queues() { ctrl_is "$1" live && [ "$(queues "$1")" = "$2" ]; }
at_target() { cat /sys/kernel/debug/"$TARGET_ROOT"/testnqn/ctrl*/queues; }

# the host makes no more queues of a kind than it has CPUs; only one kind, for 6.12's host does not
# survive fewer queues when it has poll queues
cpus=$(nproc)
disk=$(host_connect testnqn --nr-io-queues=16 --queue-size=128 \
	--reconnect-delay=1) || fail "connect"
ctrl=$(ctrl_of testnqn)
has_queues "$ctrl" $((cpus + 1)) || fail "$(queues "$ctrl") queues and not $((cpus + 1))"
! target_is_nvtgt || [ "$(at_target)" = $((cpus + 1)) ] || fail "the target counts $(at_target) queues"
fio_verify "$disk" --size=2m --iodepth=128 --numjobs=2 --offset_increment=2m || fail "I/O on many queues"

note "the number changes under a connected host"
set_attr subsystems/testnqn/attr_qid_max 1
wait_for 60 has_queues "$ctrl" 2 || fail "$(queues "$ctrl") queues, $(ctrl_state "$ctrl")"
fio_verify "$disk" --size=512k || fail "I/O on one queue"
set_attr subsystems/testnqn/attr_qid_max 128
wait_for 60 has_queues "$ctrl" $((cpus + 1)) || fail "$(queues "$ctrl") queues, $(ctrl_state "$ctrl")"
host_disconnect testnqn

note "the port's limit of the depth"
disk=$(PORT=4421 host_connect testnqn --queue-size=128) || fail "connect"
ctrl=$(ctrl_of testnqn)
[ "$(cat "/sys/class/nvme/$ctrl/sqsize")" -le 16 ] || fail "sqsize is $(cat "/sys/class/nvme/$ctrl/sqsize")"
[ "$(nvme show-regs "/dev/$ctrl" -o json | jq -r '.cap // empty' | wc -l)" = 1 ] || fail "show-regs"
fio_verify "$disk" --size=1m --iodepth=64 || fail "I/O on a short queue"
host_disconnect testnqn
