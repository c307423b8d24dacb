#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a hundred namespaces on one device, found by a host, served to many queues at once
# variants: rdma
# timeout: 240

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
make_networks
dev=$(null_blk_make size=64)
make_subsystem testnqn
for n in {1..100}; do make_namespace testnqn "$n" "$dev"; done
make_port 1 "$TGT_IP"
link_port 1 testnqn
ctrl=$(host_connect_ctrl testnqn --nr-io-queues=16 --nr-write-queues=2 --nr-poll-queues=2) || fail "connect"
disks() { set -- /sys/class/nvme/"$ctrl"/nvme*n*/nsid; [ $# = 100 ]; }
wait_for 60 disks || fail "the host sees $(ls -d "/sys/class/nvme/$ctrl"/nvme*n* | wc -l) namespaces"
[ "$(nvme list-ns "/dev/$ctrl" -o json | jq '.nsid_list | length')" = 100 ] || fail "list-ns"
wait_for 30 has_disk "$ctrl" 100 || fail "no namespace 100"
fio_verify "$(disk_of "$ctrl" 100)" --size=512k --numjobs=4 --offset_increment=1m || fail "I/O"
# one device: what namespace 100 wrote is what namespace 50 reads
# (direct: each disk of the host has a page cache of its own)
dd if="$(disk_of "$ctrl" 50)" of="$WORK/50" bs=512k count=1 iflag=direct status=none
dd if="$(disk_of "$ctrl" 100)" of="$WORK/100" bs=512k count=1 iflag=direct status=none
cmp "$WORK/50" "$WORK/100" || fail "the data is not the same"

note "all change at once"
for n in {2..100}; do enable_namespace testnqn "$n" 0; done
one_left() { set -- /sys/class/nvme/"$ctrl"/nvme*n*/nsid; [ $# = 1 ]; }
wait_for 60 one_left || fail "the host keeps disabled namespaces"
fio_verify "$(disk_of "$ctrl" 1)" --size=512k || fail "I/O"
host_disconnect testnqn
