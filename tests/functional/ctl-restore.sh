#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: save, clear, restore gives the same tree; restore waits for a device
# that comes up later, and serves the rest when one never does
# kernels: all
# nightly: 6.1
# timeout: 180

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks
export NVTGT_ROOT=$CONFIGFS
ctl() { nvtgtctl --netns tgt "$@"; }

# Everything that can be read, as one text.
tree() {
	(cd "$CONFIGFS"
	 find . -type f -perm -0400 -print0 | LC_ALL=C sort -z | xargs -0 grep -H ""
	 find . -type d -o -type l | LC_ALL=C sort)
}

put_back() { [ ! -e "$1.away" ] || mv "$1.away" "$1"; }

modprobe loop
file=$(file_make 64)
dev=$(losetup --find --show "$file")
defer losetup -D
blk=$(null_blk_make size=64)
defer nvtgtctl clear

ctl subsystem create testnqn --allow-host "$HOST_NQN" --serial 0815
ctl subsystem create other --allow-any-host --model "Another one"
ctl namespace create testnqn --device "$dev" >/dev/null
ctl namespace create testnqn --nsid 17 --device "$blk" --ana-group 2
ctl namespace create other --device "$blk" --disabled >/dev/null
ctl port create 1 --traddr "$TGT_IP" --subsystem testnqn --subsystem other
ctl port create 7 --traddr "$TGT_IP6" --trsvcid 4421 --inline-data-size 8192 --subsystem testnqn
ctl ana-group create 1 2 --state non-optimized
ctl referral create 1 spare --traddr 198.51.100.77
if target_is_nvtgt; then
	ctl namespace create other --nsid 3 --backend null --backend-options size=32m
fi
tree >"$WORK/before"
cd "$WORK"
ctl save saved.json
[ "$(stat -c %a saved.json)" = 600 ] || fail "others can read the file"

ctl clear
[ "$(nvtgtctl show --json | jq -c '[.hosts, .ports, .subsystems]')" = '[[],[],[]]' ] ||
	fail "not clear: $(nvtgtctl show)"
ctl restore saved.json
tree >after
diff before after || fail "restored tree differs"
disk=$(host_connect testnqn) || fail "connect to the restored target"
fio_verify "$disk" || fail "I/O"
host_disconnect testnqn
! ctl restore saved.json 2>err || fail "restored over a configuration"
grep -q "configured already" err || fail "no reason: $(cat err)"
ctl restore --clear saved.json
tree >after
diff before after || fail "restored over: tree differs"
ctl save again.json
cmp saved.json again.json || fail "saved again differs"

# a device that comes up while restore waits
ctl clear
losetup -d "$dev"
wait_for 10 test ! -e "/sys/block/${dev#/dev/}/loop/backing_file"
mv "$dev" "$dev.away"
defer put_back "$dev"
ctl restore --wait 120 saved.json >wait.log 2>&1 &
pid=$!
wait_for 30 grep -q "waiting for $dev" wait.log || fail "no message: $(cat wait.log)"
mv "$dev.away" "$dev"
losetup "$dev" "$file"
wait "$pid" || fail "restore --wait: $(cat wait.log)"
[ "$(get_attr subsystems/testnqn/namespaces/1/enable)" = 1 ] || fail "not enabled"

# and one that never does: the rest is served, the exit code tells
ctl clear
mv "$dev" "$dev.away"
! ctl restore saved.json 2>err || fail "a missing device is no error"
grep -q "subsystem testnqn namespace 1: enable=1" err || fail "not named: $(cat err)"
disk=$(NSID=17 host_connect testnqn) || fail "the rest is not served"
host_disconnect testnqn
mv "$dev.away" "$dev"
ctl apply saved.json || fail "apply after the device came back"
tree >after
diff before after || fail "completed tree differs"
