#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgtctl makes, changes and removes every object of the real tree;
# a wrong value gives a message that names it and leaves nothing half made
# kernels: all
# nightly: 6.1
# timeout: 180

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks
export NVTGT_ROOT=$CONFIGFS
dev=$(null_blk_make size=64)
defer nvtgtctl clear
ctl() { nvtgtctl --netns tgt "$@"; }

# wrong TEXT ARGS...: exit code 1, TEXT in the message, and the tree as before
wrong() {
	local text=$1 before after
	shift
	before=$(nvtgtctl show)
	! ctl "$@" >"$WORK/out" 2>&1 || fail "succeeded: $*"
	grep -qF -- "$text" "$WORK/out" || fail "$*: no '$text' in: $(cat "$WORK/out")"
	after=$(nvtgtctl show)
	[ "$before" = "$after" ] || fail "$* left something: $(diff <(echo "$before") <(echo "$after"))"
}

ctl subsystem create testnqn --allow-host "$HOST_NQN" --serial 0815 model="Test disk"
[ "$(nvtgtctl subsystem show testnqn --json | jq -r .attr.serial)" = 0815 ] ||
	fail "the serial number"
nsid=$(ctl namespace create testnqn --device "$dev")
[ "$nsid" = 1 ] || fail "first free nsid is $nsid"
ctl port create 1 --traddr "$TGT_IP"
ctl port link 1 testnqn
disk=$(host_connect testnqn) || fail "connect"
read -r serial <"/sys/class/nvme/$(ctrl_of testnqn)/serial"
[ "$serial" = 0815 ] || fail "the host sees another serial number: $serial"

wrong "attr_serial" subsystem create other --serial 123456789012345678901
wrong "attr_cntlid_min=0" subsystem create other cntlid_min=0
wrong "device_uuid=nonsense" namespace create testnqn --device "$dev" --uuid nonsense
wrong "ana_grpid=4711" namespace create testnqn --device "$dev" --ana-group 4711
wrong "device_path must name a device" namespace create testnqn --nsid 5 \
	device_path=/dev/nonexistent
wrong "No such file" namespace create testnqn --device /dev/nonexistent
wrong "disable the namespace first" namespace set testnqn 1 \
	uuid=01234567-89ab-cdef-0123-456789abcdef
wrong "unlink all subsystems" port set 1 trsvcid=4444
wrong "addr_trtype=carrier-pigeon" port create 2 --traddr "$TGT_IP" \
	--trtype carrier-pigeon
wrong "another port or program" port create 2 --traddr "$TGT_IP" --subsystem testnqn
wrong "no interface has this address" port create 2 --traddr 203.0.113.99 \
	--subsystem testnqn
wrong "ana_state=sleepy" ana-group create 1 2 --state sleepy
wrong "exists already" subsystem create testnqn
wrong "is linked to port 1" subsystem delete testnqn
wrong "is allowed in subsystem testnqn" host delete "$HOST_NQN"
[ -b "$disk" ] || fail "the host lost its disk over mistakes"

ctl ana-group create 1 2 --state non-optimized
ctl namespace set testnqn 1 ana_grpid=2
[ "$(nvtgtctl namespace show testnqn 1 --json | jq -r .ana_grpid)" = 2 ] ||
	fail "show --json"
ctl referral create 1 spare --traddr 198.51.100.77
ctl host set "$HOST_NQN" 2>/dev/null && fail "set without an attribute" || true
nvtgtctl show | grep -q "namespace 1" || fail "show"
nvtgtctl namespace list | grep -qE "^testnqn +1 +1 +64M +rw +$dev" ||
	fail "namespace list: $(nvtgtctl namespace list)"
nvtgtctl port list | grep -qE "^1 .* listening +testnqn$" ||
	fail "port list: $(nvtgtctl port list)"

ctl namespace disable testnqn 1
wait_for 20 test ! -b "$disk" || fail "the host keeps a disabled namespace"
ctl namespace enable testnqn 1
wait_for 20 has_disk "$(ctrl_of testnqn)" || fail "the namespace did not come back"
host_disconnect testnqn

ctl subsystem remove-host testnqn "$HOST_NQN"
! host_connect_ctrl testnqn 2>/dev/null || fail "connected without a right"
ctl subsystem allow-host testnqn "$HOST_NQN"
host_connect testnqn >/dev/null || fail "connect again"
host_disconnect testnqn

ctl ana-group delete 1 2
ctl referral delete 1 spare
ctl port unlink 1 testnqn
ctl port set 1 trsvcid=4430
[ "$(get_attr ports/1/addr_trsvcid)" = 4430 ] || fail "set trsvcid"
ctl namespace delete testnqn 1
ctl subsystem delete testnqn
ctl port delete 1
ctl host delete "$HOST_NQN"
[ "$(nvtgtctl show --json | jq -c '[.hosts, .ports, .subsystems]')" = '[[],[],[]]' ] ||
	fail "something is left: $(nvtgtctl show)"
