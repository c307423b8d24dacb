#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: ext4 and xfs keep a real tree byte for byte over unmount and reconnect
# kernels: all
# variants: no-spin one-reactor rdma rdma@6.1 rdma@7.2 iwarp
# nightly: no-spin one-reactor rdma@6.1 iwarp
# timeout: 240

. "$TESTS/lib/guest.sh"
first=$(null_blk_make size=400 memory_backed=1)
second=$(null_blk_make size=400 memory_backed=1 blocksize=4096)
simple_target testnqn "$first"
make_namespace testnqn 2 "$second"

# what python brings along, and a library: files of every size
tree=/usr/lib/python3
[ -d "$tree" ] || fail "no tree to copy"
cp -a "$tree" "$WORK/source"
cp -a /usr/lib/python3.*/json /usr/lib/python3.*/email /usr/lib/x86_64-linux-gnu/libc.so.6 \
	"$WORK/source/"
wanted=$(tree_digest "$WORK/source")
note "$(find "$WORK/source" -type f | wc -l) files, $(du -sh "$WORK/source" | cut -f1)"

host_connect testnqn >/dev/null || fail "connect"
ctrl=$(ctrl_of testnqn)
wait_for 20 has_disk "$ctrl" 2 || fail "no second namespace"
nsid=0
for fs in ext4 xfs; do
	nsid=$((nsid + 1))
	disk=$(disk_of "$ctrl" $nsid)
	mount_new $fs "$disk" "/mnt/$fs"
	cp -a "$WORK/source/." "/mnt/$fs/"
	umount "/mnt/$fs"
done
host_disconnect testnqn

host_connect testnqn >/dev/null || fail "connect again"
ctrl=$(ctrl_of testnqn)
wait_for 20 has_disk "$ctrl" 2 || fail "no second namespace"
nsid=0
for fs in ext4 xfs; do
	nsid=$((nsid + 1))
	disk=$(disk_of "$ctrl" $nsid)
	case $fs in
	ext4) e2fsck -fn "$disk" >"$WORK/fsck" 2>&1 || { cat "$WORK/fsck"; fail "e2fsck"; } ;;
	xfs) xfs_repair -n "$disk" >"$WORK/fsck" 2>&1 || { cat "$WORK/fsck"; fail "xfs_repair"; } ;;
	esac
	mount -t $fs -o ro "$disk" "/mnt/$fs"
	[ "$(tree_digest "/mnt/$fs")" = "$wanted" ] || {
		diff -r "$WORK/source" "/mnt/$fs" | head -n 5
		fail "$fs: the tree differs"
	}
	umount "/mnt/$fs"
done
host_disconnect testnqn
