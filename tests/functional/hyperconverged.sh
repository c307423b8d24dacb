#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a disk of the target serves the target's own machine, as swap and under a file system whose
# pages are written back, while memory is short: nothing hangs, nothing is lost
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
! target_is_nvtgt || need_modules null
make_networks
make_subsystem testnqn
make_namespace testnqn 1 "$(null_blk_make size=192)"
make_namespace testnqn 2 "$(file_make 192)" buffered_io=1
! target_is_nvtgt || make_null_namespace testnqn 3 size=1g
make_port 1 "$TGT_IP"
link_port 1 testnqn
host_connect_ctrl testnqn --keep-alive-tmo=30 >/dev/null || fail "connect"
ctrl=$(ctrl_of testnqn)
for n in 1 2; do wait_for 20 has_disk "$ctrl" $n || fail "no namespace $n"; done
swap=$(disk_of "$ctrl" 1)
log_mark

# little of the machine's memory is left
small_machine() {
	local free
	free=$(awk '/^MemFree/ { print $2 }' /proc/meminfo)
	defer restore_param /proc/sys/vm/nr_hugepages "$(cat /proc/sys/vm/nr_hugepages)"
	echo $(((free / 1024 - 192) / 2)) >/proc/sys/vm/nr_hugepages
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
# All that is free is declared a reserve, and a write comes that is larger than what a reactor keeps: it finds no page.
# Whoever may wait makes some free, by way of the swap of the same target among others. That lasts for a moment: the
# machine is to be short of memory, not without any.
cat >"$WORK/squeeze.py" <<'PY'
import mmap
import os
import sys
import threading
import time
MIN = "/proc/sys/vm/min_free_kbytes"


def content(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def reserve(kbytes):
    with open(MIN, "w", encoding="ascii") as f:
        f.write(str(kbytes))


def short():
    return sum(int(line.split()[-1]) for line in content("/sys/kernel/debug/nvtgt/reactors").splitlines()[1:])


fd = os.open(sys.argv[1], os.O_WRONLY | os.O_DIRECT)
data = mmap.mmap(-1, 16 << 20)
data[:] = bytes(len(data))
before, usual = short(), int(content(MIN))
for turn in range(30):
    free = next(int(line.split()[1]) for line in content("/proc/meminfo").splitlines() if line.startswith("MemFree"))
    writer = threading.Thread(target=os.pwrite, args=(fd, data, 0))
    reserve(free + 8192)
    try:
        writer.start()
        end = time.monotonic() + 0.2
        while short() == before and time.monotonic() < end:
            time.sleep(0.005)
    finally:
        reserve(usual)
    writer.join()
    if short() > before:
        print("# no page for a reactor: %d times, in turn %d" % (short() - before, turn + 1))
        raise SystemExit(0)
    # an idle reactor gives back what it keeps
    time.sleep(2)
raise SystemExit("no reactor was short of memory: this tests nothing")
PY
defer restore_param /proc/sys/vm/min_free_kbytes "$(cat /proc/sys/vm/min_free_kbytes)"
in_group small python3 "$WORK/hog.py" &
hog=$!
head -c 32M /dev/urandom >"$WORK/data"
! target_is_nvtgt || small_machine
in_group small cp "$WORK/data" "$WORK/mnt/data" &
copy=$!
if target_is_nvtgt; then
	wait_for 20 has_disk "$ctrl" 3 || fail "no namespace 3"
	python3 "$WORK/squeeze.py" "$(disk_of "$ctrl" 3)" || fail "memory was not short"
fi
wait "$copy" || fail "the copy has failed"
sync -f "$WORK/mnt/data"
wait "$hog" || fail "the process in swap has failed"
# what is in swap has to have room in memory again
! target_is_nvtgt || echo 0 >/proc/sys/vm/nr_hugepages
swapped=$(awk '/^pswpout/ { print $2 }' /proc/vmstat)
[ "$swapped" -gt 6144 ] || fail "$swapped pages were swapped out: this tests nothing"
umount "$WORK/mnt"
mount "$(disk_of "$ctrl" 2)" "$WORK/mnt"
cmp "$WORK/data" "$WORK/mnt/data" || fail "the file is another"
umount "$WORK/mnt"
swapoff "$swap"
! log_has "reset|reconnect|timeout|I/O error|lost|failed" || { log_since; fail "the disk was disturbed"; }
