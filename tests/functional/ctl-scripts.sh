#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: each script under configfs-scripts/ does what its --help says, and
# undoes its half when it fails
# kernels: all
# nightly: 6.1
# timeout: 180

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks 2
export NVTGT_ROOT=$CONFIGFS
scripts=$TESTS/../configfs-scripts
defer "$scripts/teardown.sh" --all
dev=$(null_blk_make size=64)
empty() {
	[ -z "$(find "$CONFIGFS"/{hosts,ports,subsystems} -mindepth 1)" ] ||
		fail "$1: left $(find "$CONFIGFS"/{hosts,ports,subsystems} -mindepth 1)"
}
for s in export-tcp multipath access teardown; do
	"$scripts/$s.sh" --help | grep -q "usage: $s.sh" || fail "$s.sh --help"
	rc=0
	"$scripts/$s.sh" >/dev/null 2>&1 || rc=$?
	[ "$rc" = 2 ] || fail "$s.sh without arguments ends with $rc"
done

note export-tcp.sh
line=$(in_tgt "$scripts/export-tcp.sh" "$dev" testnqn "$TGT_IP") || fail "export-tcp.sh"
[ "$line" = "nvme connect -t tcp -a $TGT_IP -s 4420 -n testnqn" ] || fail "it says: $line"
$line >/dev/null || fail "connect as it says"
wait_for 20 has_disk "$(ctrl_of testnqn)" || fail "no disk"
host_disconnect testnqn
in_tgt "$scripts/export-tcp.sh" "$dev" named "$TGT_IP" 4420 "$HOST_NQN" >/dev/null
[ "$(find "$CONFIGFS/ports" -mindepth 1 -maxdepth 1 | wc -l)" = 1 ] || fail "the port is not shared"
host_connect named >/dev/null || fail "the named host"
host_disconnect named
! host_connect_ctrl named --hostnqn nqn.2014-08.org.nvmexpress:other \
	--hostid "$(cat /proc/sys/kernel/random/uuid)" 2>/dev/null || fail "another host"
"$scripts/teardown.sh" testnqn
[ -d "$CONFIGFS/ports/1" ] || fail "the port that still serves is gone"
"$scripts/teardown.sh" --all
empty teardown.sh
! in_tgt "$scripts/export-tcp.sh" "$dev" testnqn 203.0.113.99 2>"$WORK/err" ||
	fail "a foreign address"
grep -q "dmesg" "$WORK/err" || fail "no hint: $(cat "$WORK/err")"
empty "export-tcp.sh after a failure"

note multipath.sh
in_tgt "$scripts/multipath.sh" "$dev" testnqn "$TGT_IP" "$TGT_IP_2" >"$WORK/lines" ||
	fail "multipath.sh"
while read -r line; do $line --keep-alive-tmo 120 >/dev/null || fail "$line"; done <"$WORK/lines"
mapfile -t paths < <(ctrl_of testnqn)
[ "${#paths[@]}" = 2 ] || fail "paths: ${paths[*]}"
state_at() {
	local c
	for c in $(ctrl_of testnqn); do
		[[ $(cat "/sys/class/nvme/$c/address") != *"traddr=$1,"* ]] ||
			cat /sys/class/nvme/"$c"/nvme*c*n*/ana_state
	done
}
state_is() { [ "$(state_at "$1")" = "$2" ]; }
wait_for 20 state_is "$TGT_IP" optimized || fail "first path: $(state_at "$TGT_IP")"
wait_for 20 state_is "$TGT_IP_2" non-optimized || fail "second path: $(state_at "$TGT_IP_2")"
disk=$(disk_of "${paths[0]}")
fio_background "$disk" --iodepth=2
"$scripts/multipath.sh" --switch testnqn
wait_for 20 state_is "$TGT_IP" non-optimized || fail "after the switch: $(state_at "$TGT_IP")"
wait_for 20 state_is "$TGT_IP_2" optimized || fail "after the switch: $(state_at "$TGT_IP_2")"
needs_progress "$disk" || fail "I/O stands still after the switch"
stop_load "$FIO_PID"
host_disconnect testnqn

note access.sh
[ "$("$scripts/access.sh" testnqn)" = "every host" ] || fail "show"
"$scripts/access.sh" testnqn only nqn.2014-08.org.nvmexpress:other
! host_connect_ctrl testnqn 2>/dev/null || fail "connected without a right"
"$scripts/access.sh" testnqn allow "$HOST_NQN"
host_connect testnqn >/dev/null || fail "connect with a right"
host_disconnect testnqn
"$scripts/access.sh" testnqn remove "$HOST_NQN"
[ "$("$scripts/access.sh" testnqn)" = nqn.2014-08.org.nvmexpress:other ] || fail "show"
! host_connect_ctrl testnqn 2>/dev/null || fail "connected without a right again"
"$scripts/access.sh" testnqn any
host_connect testnqn >/dev/null || fail "connect as any host"
host_disconnect testnqn
"$scripts/teardown.sh" --all
empty "teardown.sh --all"
