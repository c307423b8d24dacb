#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a disk of the target serves the target's own machine, as swap and under a file system whose
# pages are written back, while memory is short: nothing hangs, nothing is lost
# timeout: 240

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
make_networks
make_subsystem testnqn
make_namespace testnqn 1 "$(null_blk_make size=192)"
make_namespace testnqn 2 "$(file_make 192)" buffered_io=1
make_port 1 "$TGT_IP"
link_port 1 testnqn
host_connect_ctrl testnqn --keep-alive-tmo=30 >/dev/null || fail "connect"
ctrl=$(ctrl_of testnqn)
for n in 1 2; do wait_for 20 has_disk "$ctrl" $n || fail "no namespace $n"; done
swap=$(disk_of "$ctrl" 1)
log_mark

# the machine's free memory is small as well: whoever allocates has to make some free
small_machine() {
	local free old
	old=$(cat /proc/sys/vm/min_free_kbytes)
	defer restore_param /proc/sys/vm/min_free_kbytes "$old"
	free=$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)
	echo $((free * 6 / 10)) >/proc/sys/vm/min_free_kbytes
}

# group NAME MiB: a process in it has no more memory than that
group() {
	if ! mountpoint -q /sys/fs/cgroup; then
		mount -t cgroup2 none /sys/fs/cgroup
		defer umount /sys/fs/cgroup
	fi
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control || skip "no memory groups here"
	mkdir "/sys/fs/cgroup/$1"
	defer rmdir "/sys/fs/cgroup/$1"
	echo "${2}M" >"/sys/fs/cgroup/$1/memory.max"
}

in_group() {
	local name=$1
	shift
	sh -c "echo \$\$ >/sys/fs/cgroup/$name/cgroup.procs; exec \"\$@\"" - "$@"
}

mkswap "$swap" >/dev/null
swapon "$swap"
defer swap_off "$swap"
swap_off() { ! grep -q "^$1 " /proc/swaps || swapoff "$1"; }
mount_new ext4 "$(disk_of "$ctrl" 2)" "$WORK/mnt"
group small 24

# its pages all differ; each is looked at again after all have been written
cat >"$WORK/hog.py" <<'PY'
import mmap
import struct
mib = 48
mem = mmap.mmap(-1, mib << 20)
for turn in range(2):
    for page in range(mib << 8):
        if turn and struct.unpack_from("<Q", mem, page << 12)[0] != page * 2654435761:
            raise SystemExit("page %d is another" % page)
        struct.pack_into("<Q", mem, page << 12, page * 2654435761)
for page in range(mib << 8):
    if struct.unpack_from("<Q", mem, page << 12)[0] != page * 2654435761:
        raise SystemExit("page %d is another" % page)
PY
in_group small python3 "$WORK/hog.py" &
hog=$!
head -c 32M /dev/urandom >"$WORK/data"
! target_is_nvtgt || small_machine
in_group small cp "$WORK/data" "$WORK/mnt/data" &
copy=$!
wait "$copy" || fail "the copy has failed"
sync -f "$WORK/mnt/data"
wait "$hog" || fail "the process in swap has failed"
swapped=$(awk '{ print int($7 / 8) }' "/sys/block/${swap#/dev/}/stat")	# written, in pages
[ "$swapped" -gt 6144 ] || fail "$swapped pages were swapped out: this tests nothing"
umount "$WORK/mnt"
mount "$(disk_of "$ctrl" 2)" "$WORK/mnt"
cmp "$WORK/data" "$WORK/mnt/data" || fail "the file is another"
umount "$WORK/mnt"
swapoff "$swap"
! log_has "reset|reconnect|timeout|I/O error|lost|failed" || { log_since; fail "the disk was disturbed"; }
