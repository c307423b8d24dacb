#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a stock host discovers, connects, lists and disconnects
# kernels: all
# variants: rdma rdma@6.1 rdma@7.2
# timeout: 90

. "$TESTS/lib/guest.sh"
need_modules tcp
make_networks
make_subsystem testnqn
dev=$(null_blk_make size=64)
make_namespace testnqn 1 "$dev"
make_port 1 "$TGT_IP"
link_port 1 testnqn

log=$(nvme discover -t "$TRANSPORT" -a "$TGT_IP" -s 4420) || fail "nvme discover"
grep -q 'subnqn: *testnqn' <<<"$log" || fail "the discovery log does not show testnqn: $log"
disk=$(host_connect testnqn) || fail "connect"
[ -b "$disk" ] || fail "no block device: $disk"
nvme list | grep -q "$disk" || fail "nvme list does not show $disk: $(nvme list)"
[ "$(blockdev --getsize64 "$disk")" = $((64 << 20)) ] || fail "wrong size"
host_disconnect testnqn
wait_for 10 no_controllers || fail "a controller stayed"
