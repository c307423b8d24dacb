#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a host whose right is taken away under I/O is cut off at once and stays out, another one
# goes on; with the right back its disk is there again
# variants: rdma
# timeout: 180

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
host_multipath N
make_networks
first=nqn.2026-11.test:first second=nqn.2026-11.test:second
first_id=11111111-2222-4333-8444-555555555501 second_id=11111111-2222-4333-8444-555555555502
make_subsystem testnqn attr_allow_any_host=0
make_namespace testnqn 1 "$(null_blk_make size=64)"
allow_host testnqn $first
allow_host testnqn $second
make_port 1 "$TGT_IP"
link_port 1 testnqn
again=(--reconnect-delay=1 --ctrl-loss-tmo=120)
two=$(host_connect_ctrl testnqn --hostnqn $second --hostid $second_id "${again[@]}") || fail "connect"
wait_for 20 has_disk "$two" || fail "no disk of the second"
disk_two=$(disk_of "$two")
fio_background "$disk_two" --offset=32m --size=16m --rw=randwrite --verify=crc32c \
	--verify_backlog=64 --verify_fatal=1
load_two=$FIO_PID

one=$(host_connect_ctrl testnqn --hostnqn $first --hostid $first_id "${again[@]}") || fail "the first cannot connect"
wait_for 20 has_disk "$one" || fail "no disk of the first"
disk_one=$(disk_of "$one")
[ "$disk_one" != "$disk_two" ] || fail "both hosts have $disk_one"
fio_background "$disk_one" --offset=0 --size=16m --rw=randwrite --verify=crc32c \
	--verify_backlog=64 --verify_fatal=1
load_one=$FIO_PID

cut_off() { ! ctrl_is "$one" live; }
for round in 1 2; do
	needs_progress "$disk_one" || fail "round $round: no I/O of the first"
	log_mark
	deny_host testnqn $first
	wait_for 30 cut_off || fail "round $round: the first is still served"
	needs_progress "$disk_two" || fail "round $round: the second stands still"
	ctrl_is "$two" live || fail "round $round: the second is $(ctrl_state "$two")"
	# it comes again and again, in case that its right comes back
	wait_for 30 log_has "testnqn: host $first is not allowed" || fail "round $round: the first was not refused"
	ctrl_is "$one" connecting || fail "round $round: the first is $(ctrl_state "$one")"
	expect_failure host_connect_ctrl testnqn --hostnqn $first --hostid $first_id --duplicate-connect 2>/dev/null
	allow_host testnqn $first
	wait_for 60 ctrl_is "$one" live || fail "round $round: the first is $(ctrl_state "$one")"
	needs_progress "$disk_one" || fail "round $round: no I/O of the first with its right back"
done
stop_and_check "$load_one"
stop_and_check "$load_two"

no_ctrl_live() {
	local c
	for c in $(ctrl_of "$1"); do ! ctrl_is "$c" live || return 1; done
}

note "and nobody is left when nobody is allowed"
for host in $first $second; do deny_host testnqn $host; done
wait_for 30 no_ctrl_live testnqn || fail "somebody stayed"
