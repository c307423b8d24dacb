#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a saved port comes back in the network namespace that it was in, and is refused when that is not
# there; with configfs_root=nvmet nvtgtctl finds the tree without being told
# timeout: 180

. "$TESTS/lib/guest.sh"
over_rdma && skip "RDMA devices are in one network namespace here"
target_is_nvtgt || skip "nvmet does not show a port's namespace"
modprobe nvme-tcp
modprobe nvtgt configfs_root=nvmet
unset NVTGT_ROOT
CONFIGFS=/sys/kernel/config/nvmet
make_networks
dev=$(null_blk_make size=64)
defer modprobe -r nvtgt-tcp nvtgt-bdev nvtgt
defer nvtgtctl clear
cd "$WORK"

nvtgtctl subsystem create testnqn --allow-any-host
nvtgtctl namespace create testnqn --device "$dev" >/dev/null
nvtgtctl --netns tgt port create 1 --traddr "$TGT_IP" --subsystem testnqn
nvtgtctl port create 2 --traddr 127.0.0.1 --subsystem testnqn
[ "$(get_attr ports/1/netns)" = "$(stat -L -c %i /run/netns/tgt)" ] || fail "port 1: $(get_attr ports/1/netns)"
[ "$(get_attr ports/2/netns)" = "$(stat -L -c %i /proc/1/ns/net)" ] || fail "port 2: $(get_attr ports/2/netns)"
nvtgtctl port show 1 | grep -x "  netns: tgt" >/dev/null || fail "show: $(nvtgtctl port show 1)"
! nvtgtctl port show 2 | grep netns || fail "show: $(nvtgtctl port show 2)"
nvtgtctl save saved.json
[ "$(jq -c '[.ports[].netns]' saved.json)" = '["tgt",null]' ] || fail "saved: $(cat saved.json)"

# back where they were, without --netns
nvtgtctl clear
nvtgtctl restore saved.json
host_connect testnqn >/dev/null || fail "port 1 is not where it was"
host_disconnect testnqn
ADDRESS=127.0.0.1 host_connect testnqn >/dev/null || fail "port 2 is not where it was"
host_disconnect testnqn
nvtgtctl save again.json
cmp saved.json again.json || fail "saved again differs"
[ -z "$(nvtgtctl apply --dry-run saved.json)" ] || fail "steps: $(nvtgtctl apply --dry-run saved.json)"

# another namespace is another port, and nobody else is disturbed
ADDRESS=127.0.0.1 host_connect testnqn --keep-alive-tmo 120 >/dev/null || fail "port 2"
ctrl=$(ctrl_of testnqn)
log_mark
add_netns third
in_net third ip addr add "$TGT_IP/24" dev lo
jq '.ports[0].netns = "third"' saved.json >moved.json
nvtgtctl apply moved.json
[ "$(get_attr ports/1/netns)" = "$(stat -L -c %i /run/netns/third)" ] || fail "it did not move"
nvtgtctl apply saved.json
[ "$(get_attr ports/1/netns)" = "$(stat -L -c %i /run/netns/tgt)" ] || fail "it did not move back"
ctrl_is "$ctrl" live || fail "the other port's host: $(ctrl_state "$ctrl")"
! log_has "nvme $ctrl: .*(reconnect|resetting|failed)" || fail "$(log_since)"
host_disconnect testnqn

# not there: the port is refused, the rest is in place
nvtgtctl clear
jq '.ports[0].netns = "gone"' saved.json >gone.json
! nvtgtctl restore gone.json 2>err || fail "a missing namespace is no error"
grep -q "port 1: netns=gone: No such file" err || fail "not named: $(cat err)"
grep -q "there is no such network namespace" err || fail "no hint: $(cat err)"
[ ! -e "$CONFIGFS/ports/1" ] || fail "made elsewhere"
ADDRESS=127.0.0.1 host_connect testnqn >/dev/null || fail "the rest is not served"
host_disconnect testnqn
