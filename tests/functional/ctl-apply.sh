#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgtctl apply changes only what differs, and hosts stay connected
# with I/O in flight
# kernels: all
# nightly: 6.1
# timeout: 240

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks
export NVTGT_ROOT=$CONFIGFS
ctl() { nvtgtctl --netns tgt "$@"; }
a=$(null_blk_make size=64)
b=$(null_blk_make size=32)
defer nvtgtctl clear

ctl subsystem create testnqn --allow-host "$HOST_NQN"
ctl subsystem create other --allow-any-host
ctl namespace create testnqn --device "$a" >/dev/null
ctl namespace create other --device "$b" >/dev/null
ctl port create 1 --traddr "$TGT_IP" --subsystem testnqn --subsystem other
cd "$WORK"
ctl save now.json

# a slow guest must not be taken for a target that drops its hosts
disk=$(host_connect testnqn --keep-alive-tmo 120) || fail "connect"
ctrl=$(ctrl_of testnqn)
cntlid=$(cat "/sys/class/nvme/$ctrl/cntlid")
fio_background "$disk" --iodepth=2
needs_progress "$disk"
log_mark

# undisturbed WHAT: the same controller, still at work, never reconnected
undisturbed() {
	[ "$(cat "/sys/class/nvme/$ctrl/cntlid")" = "$cntlid" ] || fail "$1: another controller"
	ctrl_is "$ctrl" live || fail "$1: the controller is $(ctrl_state "$ctrl")"
	needs_progress "$disk" || fail "$1: I/O stands still"
	! log_has "nvme $ctrl: .*(reconnect|resetting|keep-alive|failed)|I/O error" ||
		fail "$1: $(log_since)"
}

# change JQ-PROGRAM: apply the file with this change
change() {
	jq "$1" now.json >next.json
	ctl apply --dry-run next.json | sed 's/^/# /'
	ctl apply next.json || fail "apply: $1"
	mv next.json now.json
	[ -z "$(ctl apply --dry-run now.json)" ] || fail "left to do after: $1"
	undisturbed "$1"
}

testnqn='(.subsystems[] | select(.nqn == "testnqn"))'
change .
change "$testnqn.namespaces += [{nsid: 2, enable: 1, device: {path: \"$b\"}}]"
wait_for 20 has_disk "$ctrl" 2 || fail "the host does not see the new namespace"
change '.ports[0].ana_groups += [{grpid: 2, ana: {state: "non-optimized"}}]'
change "($testnqn.namespaces[] | select(.nsid == 2)).ana_grpid = 2"
change "del($testnqn.namespaces[1])"
wait_for 20 test ! -e "$(disk_of "$ctrl" 2 || echo /nonexistent)" ||
	fail "the host keeps the namespace"
change '.subsystems += [{nqn: "third", attr: {allow_any_host: "1"}, namespaces: []}] |
	.ports[0].subsystems += ["third"]'
change '.hosts += [{nqn: "nqn.2014-08.org.nvmexpress:one-more"}]'
change "$testnqn.allowed_hosts += [\"nqn.2014-08.org.nvmexpress:one-more\"]"
change ".ports += [{portid: 2, subsystems: [\"testnqn\"], addr: {trtype: \"tcp\",
	adrfam: \"ipv6\", traddr: \"$TGT_IP6\", trsvcid: \"4421\"}}]"
ADDRESS=$TGT_IP6 PORT=4421 host_connect_ctrl testnqn --hostid "$(cat /proc/sys/kernel/random/uuid)" \
	--hostnqn nqn.2014-08.org.nvmexpress:one-more >/dev/null || fail "the new port"
nvme disconnect -d "$(ctrl_of testnqn | grep -vx "$ctrl")" >/dev/null
change '.ports = [.ports[0]]'
change "$testnqn.allowed_hosts = [\"$HOST_NQN\"]"
change '.subsystems |= map(select(.nqn == "testnqn")) | .ports[0].subsystems = ["testnqn"]'

# a mistake in the file changes nothing at all
jq "$testnqn.namespaces[0].nsid = 0" now.json >bad.json
! ctl apply bad.json 2>err || fail "nsid 0 was taken"
grep -q 'subsystems\[0\].namespaces\[0\].nsid' err || fail "no place: $(cat err)"
undisturbed "a bad file"
stop_load "$FIO_PID"
