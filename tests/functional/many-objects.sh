#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: several subsystems, namespaces, ports (IPv4 and IPv6) and hosts at once, each with the
# data that belongs to it
# nightly: all
# timeout: 240

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
make_networks 2
add_host_net second 1
make_port 1 "$TGT_IP"
make_port 2 "$TGT_IP6"
make_port 3 "$TGT_IP_2" addr_trsvcid=4444
make_port 4 2001:db8:77:1::2
make_port 5 :: addr_trsvcid=4445
k=0
dev=$(null_blk_make size=96)
for s in {1..3}; do
	make_subsystem nqn.2026-11.test:many"$s"
	for n in 1 7 1024; do
		k=$((k + 1))
		part=$(dm_make part$k "0 16384 linear $dev $(((k - 1) * 16384))")
		make_namespace nqn.2026-11.test:many"$s" $n "$part"
	done
	for p in {1..5}; do link_port "$p" nqn.2026-11.test:many"$s"; done
done
[ "$(nvme discover -t tcp -a "$TGT_IP6" -s 4420 | grep -c 'subtype: *nvme subsystem')" -ge 3 ] || fail "discover"
host_connect_ctrl nqn.2026-11.test:many1 >/dev/null || fail "IPv4"
ADDRESS=$TGT_IP6 host_connect_ctrl nqn.2026-11.test:many2 >/dev/null || fail "IPv6"
ADDRESS=$TGT_IP_2 PORT=4444 host_connect_ctrl nqn.2026-11.test:many3 >/dev/null || fail "another service id"
pids=()
for s in 1 2 3; do
	ctrl=$(ctrl_of nqn.2026-11.test:many$s)
	for n in 1 7 1024; do
		wait_for 30 has_disk "$ctrl" $n || fail "subsystem $s has no namespace $n"
		disk=$(disk_of "$ctrl" $n)
		head -c 64k < <(yes "subsystem $s namespace $n") >"$WORK/$s.$n"
		dd if="$WORK/$s.$n" of="$disk" bs=64k oflag=direct status=none &
		pids+=($!)
	done
done
for p in "${pids[@]}"; do wait "$p" || fail "a write"; done

note "each has its own, seen from another host and another port"
as=(--hostnqn nqn.2026-11.test:second --hostid 11111111-2222-4333-8444-555555555502)
for s in 1 2 3; do host_disconnect nqn.2026-11.test:many$s || fail "disconnect"; done
HOST_NET=second ADDRESS=10.77.1.2 PORT=4445 host_connect_ctrl nqn.2026-11.test:many1 "${as[@]}" >/dev/null ||
	fail "the second host, any address"
HOST_NET=second ADDRESS=2001:db8:77:1::2 host_connect_ctrl nqn.2026-11.test:many2 "${as[@]}" >/dev/null ||
	fail "the second host, IPv6"
ADDRESS=$TGT_IP_2 PORT=4445 host_connect_ctrl nqn.2026-11.test:many3 >/dev/null || fail "the first, any address"
for s in 1 2 3; do
	ctrl=$(ctrl_of nqn.2026-11.test:many$s)
	for n in 1 7 1024; do
		wait_for 30 has_disk "$ctrl" $n || fail "subsystem $s has no namespace $n"
		cmp -n 65536 "$WORK/$s.$n" "$(disk_of "$ctrl" $n)" || fail "subsystem $s namespace $n"
	done
	nvme disconnect -n nqn.2026-11.test:many$s >/dev/null
done
