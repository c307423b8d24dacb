#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: the ways to an RDMA port: the address alone loads the module, IPv4, IPv6 and any address,
# beside TCP on the same address, discovery that tells it, nvtgtctl and the script
# timeout: 180

TRANSPORT=rdma
. "$TESTS/lib/guest.sh"
modprobe nvme-rdma
modprobe nvtgt
make_networks
dev=$(null_blk_make size=64)
make_subsystem testnqn
make_namespace testnqn 1 "$dev"

note "the address alone loads the module"
[ ! -d /sys/module/nvtgt_rdma ] || fail "nvtgt-rdma is there before it is needed"
make_port 1 "$TGT_IP"
link_port 1 testnqn
[ -d /sys/module/nvtgt_rdma ] || fail "nvtgt-rdma was not loaded"
[ "$(get_attr ports/1/addr_tsas)" = connected ] || fail "addr_tsas: $(get_attr ports/1/addr_tsas)"
host_connect testnqn >/dev/null || fail "connect"
# entries that RDMA has unless told otherwise, and descriptors in a capsule
id=$(nvme id-ctrl -o json "/dev/$(ctrl_of testnqn)")
[ "$(jq .maxcmd <<<"$id")" = 128 ] || fail "MAXCMD is $(jq .maxcmd <<<"$id")"
[ "$(jq .msdbd <<<"$id")" = 16 ] || fail "MSDBD is $(jq .msdbd <<<"$id")"
[ "$(jq .ioccsz <<<"$id")" = $(((64 + 4096) / 16)) ] || fail "IOCCSZ is $(jq .ioccsz <<<"$id")"
[ $(($(jq .sgls <<<"$id") >> 2 & 1)) = 1 ] || fail "no keyed SGLs: $(jq .sgls <<<"$id")"
host_disconnect testnqn

note "IPv6, and TCP on the same address"
make_port 2 "$TGT_IP6"
link_port 2 testnqn
ADDRESS=$TGT_IP6 host_connect testnqn >/dev/null || fail "connect by IPv6"
host_disconnect testnqn
modprobe nvme-tcp
make_port 3 "$TGT_IP" addr_trtype=tcp
link_port 3 testnqn
TRANSPORT=tcp host_connect testnqn >/dev/null || fail "connect by TCP"
host_disconnect testnqn

note "discovery"
# a port tells of itself
tells() {
	local log
	log=$(nvme discover -o json -t "$1" -a "$3" -s 4420 |
		jq -c '[.records[] | select(.subnqn == "testnqn") | [.trtype, .adrfam, .traddr]]')
	[ "$log" = "[[\"$1\",\"$2\",\"$3\"]]" ] || fail "$3 by $1: $log"
}
tells rdma ipv4 "$TGT_IP"
tells rdma ipv6 "$TGT_IP6"
tells tcp ipv4 "$TGT_IP"
for id in 1 2 3; do drop_port $id; done

note "any address: a host is told the one that it came by"
make_port 4 0.0.0.0
link_port 4 testnqn
make_port 5 ::
link_port 5 testnqn
log=$(nvme discover -o json -t rdma -a "$TGT_IP" -s 4420 | jq -c '[.records[] | select(.subnqn == "testnqn") | .traddr]')
grep -qF '"192.0.2.2"' <<<"$log" || fail "the log: $log"
host_connect testnqn >/dev/null || fail "connect to any address"
host_disconnect testnqn
ADDRESS=$TGT_IP6 host_connect testnqn >/dev/null || fail "connect to any IPv6 address"
host_disconnect testnqn
drop_port 4
drop_port 5

note "parameters of the port"
make_port 6 "$TGT_IP" param_inline_data_size=16384 param_max_queue_size=32
link_port 6 testnqn
disk=$(host_connect testnqn --queue-size=128) || fail "connect with parameters"
id=$(nvme id-ctrl -o json "/dev/$(ctrl_of testnqn)")
[ "$(jq .maxcmd <<<"$id")" = 32 ] || fail "MAXCMD is $(jq .maxcmd <<<"$id")"
[ "$(jq .ioccsz <<<"$id")" = $(((64 + 16384) / 16)) ] || fail "IOCCSZ is $(jq .ioccsz <<<"$id")"
fio_verify "$disk" --bsrange=512-64k --bs_unaligned=0 --blockalign=512 || fail "inline data of 16 KiB"
host_disconnect testnqn
drop_port 6
make_port 7 "$TGT_IP" param_inline_data_size=0
link_port 7 testnqn
disk=$(host_connect testnqn) || fail "connect without inline data"
fio_verify "$disk" --size=1m || fail "I/O without inline data"
host_disconnect testnqn
drop_port 7
drop_subsystem testnqn

note "nvtgtctl and the script"
nvtgtctl export "$dev" --nqn again --trtype rdma --traddr "$TGT_IP" --allow-any-host >"$WORK/out" || fail "nvtgtctl export"
host_connect again >/dev/null || fail "connect to what nvtgtctl exports"
host_disconnect again
nvtgtctl clear >/dev/null || fail "nvtgtctl clear"
line=$("$TESTS/../configfs-scripts/export-rdma.sh" "$dev" again "$TGT_IP") || fail "export-rdma.sh"
[ "$line" = "nvme connect -t rdma -a $TGT_IP -s 4420 -n again" ] || fail "it says: $line"
defer "$TESTS/../configfs-scripts/teardown.sh" --all
$line >/dev/null || fail "connect as it says"
host_disconnect again
