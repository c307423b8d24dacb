#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a host that falls silent loses its controller at the target; when it is back it connects anew
# timeout: 150

. "$TESTS/lib/guest.sh"
dev=$(null_blk_make size=64)
need_modules tcp bdev
target_is_nvtgt || skip "the check looks into nvtgt's debugfs"
make_networks 2
make_subsystem testnqn
make_namespace testnqn 1 "$dev"
make_port 1 "$TGT_IP"
make_port 2 "$TGT_IP_2"
for p in 1 2; do link_port $p testnqn; done
disk=$(host_connect testnqn --keep-alive-tmo=2 --reconnect-delay=1 --ctrl-loss-tmo=120) || fail "connect"
ctrl=$(ctrl_of testnqn)
at_target() { cat /sys/kernel/debug/nvtgt/testnqn/ctrl*/hostnqn 2>/dev/null | wc -l; }
has() { [ "$(at_target)" = "$1" ]; }
has 1 || fail "$(at_target) controllers at the target"
[ "$(cat /sys/kernel/debug/nvtgt/testnqn/ctrl*/kato)" -ge 2 ] || fail "kato"

note "a quiet host that is alive keeps its controller"
cntlid=$(cat "/sys/class/nvme/$ctrl/cntlid")
quiet_until=$((SECONDS + 6 * PATIENCE))
still_there() { has 1 && ctrl_is "$ctrl" live || fail "the controller of a living host is gone"; [ $SECONDS -ge $quiet_until ]; }
wait_for 60 still_there
[ "$(cat "/sys/class/nvme/$ctrl/cntlid")" = "$cntlid" ] || fail "it was another controller"

note "a silent one does not"
log_mark
ip link set host0 down
wait_for 60 has 0 || fail "the controller outlives its host"
wait_for 5 log_has "[Kk]eep.[Aa]live|KATO" || { log_since; fail "the log does not say why"; }
ip link set host0 up
ip -6 addr add "$HOST_IP6/64" dev host0 nodad 2>/dev/null || true
wait_for 60 ctrl_is "$ctrl" live || fail "the host is $(ctrl_state "$ctrl")"
wait_for 20 has 1 || fail "$(at_target) controllers at the target"
fio_verify "$disk" --size=512k || fail "I/O"

note "and holds up nobody meanwhile"
ip link set host0 down
other=$(ADDRESS=$TGT_IP_2 host_connect_ctrl testnqn --hostnqn nqn.2026-11.test:other \
	--hostid 11111111-2222-4333-8444-555555555502) || fail "another host cannot connect"
ctrl_is "$other" live || fail "the other is $(ctrl_state "$other")"
ip link set host0 up
wait_for 60 ctrl_is "$ctrl" live || fail "the host is $(ctrl_state "$ctrl")"
