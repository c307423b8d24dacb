#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a port follows its address: to another device, and through a bond's change of slaves
# kernels: all
# nightly: 6.1
# timeout: 300

TRANSPORT=rdma
. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
queues=/sys/kernel/debug/nvtgt/connections
no_queues() { [ -z "$(cat $queues)" ]; }
make_networks 2
make_subsystem testnqn
make_namespace testnqn 1 "$(null_blk_make size=64)"
port_on() {
	make_port "$@"
	link_port "$1" testnqn
}
port_on 1 "$TGT_IP"
port_on 2 "$TGT_IP6"
note "three addresses, one after the other"
# works DEVICE ADDRESS: through it a host reaches the disk
works() {
	local disk
	disk=$(ADDRESS=$2 host_connect testnqn --nr-io-queues=2) || fail "connect to $2"
	grep -q " device $1 " $queues || fail "the host came in elsewhere: $(cat $queues)"
	fio_verify "$disk" --size=1m || fail "the disk by way of $2"
	host_disconnect testnqn
	wait_for 30 no_queues || fail "connections are left: $(cat $queues)"
}
works rxe0 "$TGT_IP"
works rxe0 "$TGT_IP6"

note "addresses move to another device, and back"
# moves FROM TO ADDRESS WIDTH PORT
moves() {
	log_mark
	ip addr del "$3/$4" dev "$1"
	# shellcheck disable=SC2046
	ip addr add "$3/$4" dev "$2" $(case $3 in *:*) echo nodad ;; esac)
	wait_for 30 log_has "port $5: listening on .* again" || fail "port $5 does not follow"
}
moves tgt0 tgt1 "$TGT_IP" 24 1
works rxe1 "$TGT_IP"
moves tgt0 tgt1 "$TGT_IP6" 64 2
works rxe1 "$TGT_IP6"
moves tgt1 tgt0 "$TGT_IP" 24 1
works rxe0 "$TGT_IP"
# it comes to the one before it leaves the other, and nobody vouches for it at once
log_mark
ip addr add "$TGT_IP6/64" dev tgt0
wait_for 30 log_has 'port 2: listening on .* again' || fail "port 2 takes no notice"
log_mark
ip addr del "$TGT_IP6/64" dev tgt1
wait_for 30 log_has 'port 2: listening on .* again' || fail "port 2 does not follow"
works rxe0 "$TGT_IP6"

note "another address: nothing happens"
log_mark
ip addr add 203.0.113.9/24 dev tgt1
ip addr add 203.0.113.10/24 dev tgt1
! log_has 'listening on .* again' || fail "a port moved for an address that is not its own"

note "a bond goes over to its other device"
modprobe bonding
ip link add tgtbond type bond mode active-backup fail_over_mac active
defer delete_link tgtbond
for i in 8 9; do
	ip link add "tgtslave$i" type dummy
	defer delete_link "tgtslave$i"
	ip link set "tgtslave$i" master tgtbond
	ip link set "tgtslave$i" up
done
ip addr add 198.51.100.2/24 dev tgtbond
ip link set tgtbond up
rdma_device rxebond tgtbond
port_on 3 198.51.100.2
works rxebond 198.51.100.2
for slave in 9 8; do
	log_mark
	ip link set tgtbond type bond active_slave "tgtslave$slave"
	wait_for 30 log_has 'port 3: listening on 198.51.100.2:4420 again' || fail "the port does not listen anew"
	works rxebond 198.51.100.2
done
