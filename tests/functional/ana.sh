#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: ANA: a multipath host follows the ports' states by itself, under I/O
# kernels: 6.12
# timeout: 180
# variants: rdma

. "$TESTS/lib/guest.sh"
need_modules tcp null

# path_state CTRL: the ANA state that the host knows of the path's namespace 1
# (the host numbers its disks as it finds them, which need not be as the nsids go)
path_state() {
	local nsid

	for nsid in /sys/class/nvme/"$1"/nvme*c*n*/nsid; do
		[ "$(cat "$nsid" 2>/dev/null)" = 1 ] || continue
		cat "${nsid%/*}/ana_state" 2>/dev/null && return
	done
	echo none
}
path_is() { [ "$(path_state "$1")" = "$2" ]; }

# set_path PORT STATE: the host of that port must see it
set_path() {
	set_attr "ports/$1/ana_groups/1/ana_state" "$2"
	wait_for 20 path_is "${path[$1]}" "$2" ||
		fail "the host sees port $1 as $(path_state "${path[$1]}"), not as $2"
}

make_networks 2
make_subsystem testnqn
make_null_namespace testnqn 1 size=64m
make_null_namespace testnqn 2 size=64m
make_port 1 "$TGT_IP"
make_port 2 "$TGT_IP_2"
link_port 1 testnqn
link_port 2 testnqn
set_attr ports/2/ana_groups/1/ana_state inaccessible

declare -A path
path[1]=$(host_connect_ctrl testnqn)
path[2]=$(ADDRESS=$TGT_IP_2 host_connect_ctrl testnqn)
wait_for 20 has_disk "${path[1]}" || fail "no disk"
disk=$(disk_of "${path[1]}")
wait_for 20 path_is "${path[1]}" optimized || fail "port 1 is not optimized"
wait_for 20 path_is "${path[2]}" inaccessible || fail "port 2 is not inaccessible"

note "the log names groups and namespaces"
nvme ana-log "/dev/${path[2]}" -o json >"$WORK/ana"
jq -e '.["ANA DESC LIST "][0] | .state == "inaccessible" and .nnsids == 2' "$WORK/ana" >/dev/null ||
	fail "the ANA log: $(cat "$WORK/ana")"

note "the paths change places under I/O"
fio_background "$disk"
needs_progress "$disk"
for _ in 1 2 3; do
	set_path 2 optimized
	set_path 1 inaccessible
	needs_progress "$disk"
	set_path 1 non-optimized
	set_path 2 persistent-loss
	needs_progress "$disk"
done

note "a group that the other port does not have"
mkdir "$CONFIGFS/ports/1/ana_groups/5"
set_attr ports/1/ana_groups/5/ana_state optimized
set_path 2 optimized
set_attr subsystems/testnqn/namespaces/1/ana_grpid 5
wait_for 20 path_is "${path[2]}" inaccessible || fail "group 5 on port 2 is $(path_state "${path[2]}")"
wait_for 20 path_is "${path[1]}" optimized || fail "group 5 on port 1 is $(path_state "${path[1]}")"
needs_progress "$disk"
kill -0 "$FIO_PID" 2>/dev/null || fail "fio did not survive: $(tail -n 5 "$WORK/fio-load.out")"
