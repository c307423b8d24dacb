#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgtctl export --trtype vfio-user serves a device to a virtual machine in one command, and a
# saved file brings it back; what nvtgtctl refuses and drops is what the kernel has no use for
# kernels: all
# nightly: 6.1
# timeout: 120

. "$TESTS/lib/guest.sh"
target_is_nvtgt || skip "nvmet has no virtual machines"
modprobe nvtgt
export NVTGT_ROOT=$CONFIGFS
disk=$(null_blk_make size=64)
disk2=$(null_blk_make size=64)
defer nvtgtctl clear
cd "$WORK"

# guest PORT PATH DISK : a controller with a queue, and data that arrive
guest() { PYTHONDONTWRITEBYTECODE=1 PATIENCE=$PATIENCE python3 "$TESTS/functional/vm/export.py" "$@"; }

note "one command"
[ ! -d /sys/module/nvtgt_vfu ] || fail "nvtgt-vfu is there before it is needed"
nvtgtctl export "$disk" --trtype vfio-user --nqn nqn.2026-01.org.example:vm1 >out 2>err || fail "export: $(cat err)"
[ -d /sys/module/nvtgt_vfu ] || fail "export does not load nvtgt-vfu"
path=/run/nvtgt-vfud/vm1.sock
[ "$(get_attr ports/1/addr_traddr)" = $path ] || fail "another path: $(get_attr ports/1/addr_traddr)"
grep -qF -- "-device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"$path\"}}'" out ||
	fail "QEMU's options: $(cat out)"
# no daemon runs here
grep -q "there is no socket at $path.*systemctl start nvtgt-vfud" err || fail "no word of the daemon: $(cat err)"
nvtgtctl port list 2>/dev/null | grep -q "vfio-user *$path *- *no-socket" || fail "$(nvtgtctl port list 2>&1)"
guest 1 $path "$disk" || fail "the guest"

stop_daemon() {
	[ -n "$daemon" ] || return 0
	kill "$daemon"
	wait "$daemon" || true
	daemon=
}
# with_daemon : the socket is there when export returns, and nothing is left to be said
with_daemon() {
	wait_for 30 nvtgt-vfud --status >/dev/null || fail "the daemon: $(cat vfud.log)"
	wait_for 30 test -S $path || fail "no socket: $(cat vfud.log)"
	nvtgtctl port list >out 2>err || fail "port list"
	grep -q "vfio-user *$path *- *listening" out || fail "port list: $(cat out)"
	[ ! -s err ] || fail "port list: $(cat err)"
	nvtgtctl export "$disk2" --trtype vfio-user --nqn nqn.2026-01.org.example:vm2 >out 2>err || fail "export: $(cat err)"
	! grep -q "there is no socket" err || fail "export did not wait: $(cat err)"
	[ -S /run/nvtgt-vfud/vm2.sock ] || fail "no socket for the second: $(cat vfud.log)"
	nvtgtctl unexport "$disk2"
}
if command -v nvtgt-vfud >/dev/null; then
	note "the daemon"
	nvtgt-vfud >vfud.log 2>&1 &
	daemon=$!
	defer rm -rf /run/nvtgt-vfud
	defer stop_daemon
	with_daemon
	stop_daemon
	[ ! -e $path ] || fail "the daemon leaves its socket"
fi

note "a name of its own"
if [ -e "$CONFIGFS/ports/1/param_hostnqn" ]; then
	nvtgtctl export "$disk2" --trtype vfio-user --traddr /run/vm2.sock --hostnqn "$HOST_NQN" \
		--hostid 12345678-9abc-def0-1234-56789abcdef0 --nqn named >out 2>err || fail "export: $(cat err)"
	[ "$(get_attr ports/2/param_hostnqn)" = "$HOST_NQN" ] || fail "host NQN $(get_attr ports/2/param_hostnqn)"
	guest 2 /run/vm2.sock "$disk2" || fail "the guest with a name"
	# its right counts, not that any host may connect
	[ "$(get_attr subsystems/named/attr_allow_any_host)" = 0 ] || fail "any host may connect"
	nvtgtctl subsystem remove-host named "$HOST_NQN"
	expect_failure guest 2 /run/vm2.sock "$disk2" 2>/dev/null
	nvtgtctl subsystem allow-host named "$HOST_NQN"
else
	! nvtgtctl export "$disk2" --trtype vfio-user --hostnqn "$HOST_NQN" --nqn named >out 2>err ||
		fail "a host NQN that the kernel does not take"
	grep -q "modules are older than nvtgtctl" err || fail "no reason: $(cat err)"
	[ ! -e "$CONFIGFS/subsystems/named" ] || fail "something is left"
	nvtgtctl export "$disk2" --trtype vfio-user --traddr /run/vm2.sock --nqn named >out 2>err ||
		fail "export: $(cat err)"
fi

note "a saved file"
nvtgtctl save saved.json
[ -z "$(nvtgtctl apply --dry-run saved.json)" ] || fail "steps for the same: $(nvtgtctl apply --dry-run saved.json)"
nvtgtctl clear
nvtgtctl restore saved.json || fail "restore"
nvtgtctl save again.json
cmp saved.json again.json || fail "restored and saved: $(diff saved.json again.json)"
guest 1 $path "$disk" || fail "the guest, restored"
guest 2 /run/vm2.sock "$disk2" || fail "the other guest, restored"

note "a port that was on the network"
nvtgtctl subsystem create third --allow-any-host
nvtgtctl port create 3 --traddr 127.0.0.1
nvtgtctl port set 3 trtype=vfio-user traddr=/run/vm3.sock || fail "port set"
nvtgtctl port link 3 third || fail "a family and a service from before disturb"
nvtgtctl save saved.json
jq -e '.ports[] | select(.portid == 3) | .addr | has("adrfam") or has("trsvcid") | not' saved.json >jq.out ||
	fail "they are saved: $(cat saved.json)"
nvtgtctl port delete 3 --force
nvtgtctl port create 3 --traddr 127.0.0.1
nvtgtctl apply saved.json || fail "apply does not turn a port into another"
[ "$(get_attr ports/3/addr_trtype)" = vfio-user ] || fail "type $(get_attr ports/3/addr_trtype)"
! nvtgtctl port create 4 --trtype vfio-user --traddr /run/vm3.sock --subsystem third 2>err ||
	fail "two ports with one socket"
grep -q "another port has this socket" err || fail "no reason: $(cat err)"

nvtgtctl unexport "$disk"
nvtgtctl unexport "$disk2"
nvtgtctl unexport third
[ "$(nvtgtctl show --json | jq -c '[.hosts, .ports, .subsystems]')" = '[[],[],[]]' ] ||
	fail "something is left: $(nvtgtctl show)"
