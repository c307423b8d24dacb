#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: of two hosts the allowed one connects and discovers, the other one does neither
# variants: rdma
# timeout: 90

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
make_networks
add_host_net second 1
friend=nqn.2026-11.test:friend stranger=nqn.2026-11.test:stranger
friend_id=11111111-2222-4333-8444-555555555501 stranger_id=11111111-2222-4333-8444-555555555502
dev=$(null_blk_make size=64)
make_subsystem testnqn attr_allow_any_host=0
make_namespace testnqn 1 "$dev"
allow_host testnqn $friend
make_subsystem open
make_port 1 "$TGT_IP"
make_port 2 10.77.1.2
for p in 1 2; do link_port $p testnqn; link_port $p open; done

as_friend=(--hostnqn "$friend" --hostid "$friend_id")
as_stranger=(--hostnqn "$stranger" --hostid "$stranger_id")

note "the log shows each host what it may see"
log=$(nvme discover -t "$TRANSPORT" -a "$TGT_IP" -s 4420 "${as_friend[@]}") || fail "discover"
grep -q 'subnqn: *testnqn' <<<"$log" || fail "the friend does not see testnqn: $log"
log=$(in_net second nvme discover -t "$TRANSPORT" -a 10.77.1.2 -s 4420 "${as_stranger[@]}") || fail "discover"
! grep -q 'subnqn: *testnqn' <<<"$log" || fail "the stranger sees testnqn"
grep -q 'subnqn: *open' <<<"$log" || fail "the stranger does not see the open one: $log"

note "and lets in who may"
disk=$(host_connect testnqn "${as_friend[@]}") || fail "the friend cannot connect"
log_mark
if HOST_NET=second ADDRESS=10.77.1.2 host_connect_ctrl testnqn "${as_stranger[@]}" 2>"$WORK/said"; then
	fail "the stranger connected"
fi
wait_for 5 log_has "nvme.*Connect for subsystem testnqn is not allowed" ||
	{ log_since; fail "the host was not told why"; }
fio_verify "$disk" --size=1m || fail "the friend's I/O"

no_live_ctrl() {
	local c
	for c in $(ctrl_of "$1"); do
		[ "$(cat "/sys/class/nvme/$c/hostnqn" 2>/dev/null)" != "$2" ] || ! ctrl_is "$c" live || return 1
	done
}

note "until that changes"
deny_host testnqn $friend
allow_host testnqn $stranger
wait_for 20 no_live_ctrl testnqn "$friend" || fail "the friend is still connected"
HOST_NET=second ADDRESS=10.77.1.2 host_connect_ctrl testnqn "${as_stranger[@]}" >/dev/null ||
	fail "the new friend cannot connect"
