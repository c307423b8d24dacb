#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a device that hangs while its namespace is enabled or disabled holds up that namespace only:
# not Connect, not discovery, not the configuration of others, not the look at their sizes; and a device
# that hangs under a command does not keep another backend's module
# timeout: 240

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev null
target_is_nvtgt || skip "nvmet has no null backend"
make_networks 2
loop=$(loop_make 32)
backing=$(losetup -n -O BACK-FILE "$loop")
make_subsystem testnqn
make_namespace testnqn 1 "$loop"
make_subsystem other
make_namespace other 1 "$(null_blk_make)"
make_port 1 "$TGT_IP"
link_port 1 testnqn
link_port 1 other
mkdir "$CONFIGFS/subsystems/testnqn/namespaces/2"
ns=subsystems/testnqn/namespaces/2
set_attr $ns/backend null
set_attr $ns/backend_options size=64m
set_attr $ns/buffered_io 1

# soon CMD...: it must not wait for the device; in a subshell, so that the test goes on
soon() {
	local limit=$((SECONDS + 20 * PATIENCE + 1)) pid
	("$@") &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		[ "$SECONDS" -lt "$limit" ] || { hangs N; fail "waits for the device: $*"; }
		sleep 0.05
	done
	wait "$pid" || fail "$*"
}
hangs() { echo "$1" >/sys/module/nvtgt_null/parameters/hang; }
# a writer that the device holds; a job of its own, which a signal reaches
start_writer() {
	bash -c "exec 2>/dev/null; echo $1 >$CONFIGFS/$ns/enable" &
	WRITER=$!
	wait_for 20 in_backend "nvtgt_null_$2" || fail "the backend's $2 is not waited for"
}
in_backend() { grep -q "$1" "/proc/$WRITER/stack"; }
connects() {
	host_connect "$1" >/dev/null || return 1
	host_disconnect "$1"
}
discovers() { nvme discover -t "$TRANSPORT" -a "$TGT_IP" -s 4420 | grep -q "subnqn: *$1"; }
refused() { ! { printf '%s' "$2" >"$CONFIGFS/$ns/$1"; } 2>/dev/null; }

# what has to go on
others_go_on() {
	soon get_attr $ns/enable
	soon get_attr $ns/device_path
	soon get_attr $ns/backend_options
	soon refused device_path /dev/null
	soon refused backend bdev
	soon refused buffered_io 0
	soon connects testnqn
	soon discovers other
	soon set_attr subsystems/testnqn/namespaces/1/ana_grpid 2
	soon set_attr subsystems/testnqn/namespaces/1/ana_grpid 1
	soon make_port 2 "$TGT_IP_2"
	soon link_port 2 other
	soon unlink_port 2 other
	soon drop_port 2
	soon enable_namespace other 1 0
	soon enable_namespace other 1 1
	soon set_attr subsystems/testnqn/namespaces/1/revalidate_size 1
	soon connects other
}

log_mark
defer hangs N
hangs Y
note "while it is opened"
start_writer 1 open
others_go_on
[ "$(get_attr $ns/enable)" = 0 ] || fail "it is enabled already"

note "others' sizes are looked at"
disk=$(host_connect testnqn) || fail "connect"
truncate -s 48M "$backing"
losetup -c "$loop"
wait_for 30 blocks_are "$disk" $((48 << 11)) || fail "the size of namespace 1 is not looked at"

note "a second shell at the same switch, and a signal"
bash -c "exec 2>/dev/null; echo 1 >$CONFIGFS/$ns/enable" &
second=$!
waits_for_first() { grep -q nvtgt_ns_enable "/proc/$second/stack"; }
wait_for 20 waits_for_first || fail "the second shell does not wait"
kill -TERM $second
wait $second && fail "the second shell"
kill -TERM "$WRITER"
! wait "$WRITER" || fail "the first shell"
[ "$(get_attr $ns/enable)" = 0 ] || fail "it is enabled"
set_attr $ns/backend_options size=32m

note "it answers at last"
start_writer 1 open
hangs N
wait "$WRITER" || fail "enable"
ctrl=$(ctrl_of testnqn)
wait_for 20 has_disk "$ctrl" 2 || fail "the namespace does not show"
two=$(disk_of "$ctrl" 2)

note "removed while a device does not answer"
dm=$(dm_make hanging "0 65536 linear $(null_blk_make) 0")
make_namespace other 2 "$dm"
dev=$(host_connect other) || fail "connect"
wait_for 20 has_disk "$(ctrl_of other)" 2 || fail "no second disk"
dev=$(disk_of "$(ctrl_of other)" 2)
dmsetup suspend --nolockfs --noflush hanging
defer dmsetup resume hanging
dd if=/dev/zero of="$dev" bs=4096 count=1 oflag=direct status=none 2>/dev/null &
writer=$!
in_flight() { [ "$(awk '{ print $1 + $2 }' "/sys/block/${dev##*/}/inflight")" -gt 0 ]; }
wait_for 20 in_flight || fail "nothing is in flight"
soon rmdir "$CONFIGFS/subsystems/other/namespaces/2"
wait_for 10 log_has 'namespace 2: removed, but its device does not answer' || fail "no line: $(log_since)"
soon mkdir "$CONFIGFS/subsystems/other/namespaces/3"
soon rmdir "$CONFIGFS/subsystems/other/namespaces/3"
dmsetup resume hanging
wait "$writer" || true
host_disconnect other
closed() { [ "$(dmsetup info -c --noheadings -o open "$1" | tr -d ' ')" = 0 ]; }
wait_for 20 closed hanging || fail "the device is not closed"

note "removed, and closed for as long"
mkdir "$CONFIGFS/subsystems/other/namespaces/4"
four=subsystems/other/namespaces/4
set_attr $four/backend null
set_attr $four/backend_options size=64m
enable_namespace other 4 1
hangs Y
soon rmdir "$CONFIGFS/$four"
wait_for 10 log_has 'namespace 4: removed, but its device does not answer' || fail "no line: $(log_since)"
soon mkdir "$CONFIGFS/subsystems/other/namespaces/5"
soon rmdir "$CONFIGFS/subsystems/other/namespaces/5"
soon make_port 2 "$TGT_IP_2"
soon drop_port 2
soon connects other
soon discovers other
hangs N
only_two() { [ "$(cat /sys/module/nvtgt_null/refcnt)" = 1 ]; }
wait_for 20 only_two || fail "namespace 4 is not closed: $(cat /sys/module/nvtgt_null/refcnt) are open"

note "while it is closed"
hangs Y
start_writer 0 close
wait_for 20 disk_gone "$two" || fail "the disk stays"
host_disconnect testnqn
others_go_on
hangs N
wait "$WRITER" || fail "disable"
set_attr $ns/device_path /dev/null

note "another backend's module goes while a worker hangs in a file"
thaw() { fsfreeze -u "$WORK/fs" 2>/dev/null || true; }
mount_new ext4 "$(null_blk_make size=64)" "$WORK/fs"
defer thaw
truncate -s 4M "$WORK/fs/file"
make_namespace other 3 "$WORK/fs/file"
defer rmdir "$CONFIGFS/subsystems/other/namespaces/3"
host_connect other >/dev/null || fail "connect"
ctrl=$(ctrl_of other)
wait_for 20 has_disk "$ctrl" 3 || fail "the namespace on the file does not show"
dev=$(disk_of "$ctrl" 3)
fsfreeze -f "$WORK/fs"
dd if=/dev/zero of="$dev" bs=4096 count=1 oflag=direct status=none 2>/dev/null &
writer=$!
worker_hangs() { grep -q nvtgt_file /proc/[0-9]*/stack 2>/dev/null; }
wait_for 20 worker_hangs || fail "no worker is in the file"
soon rmmod nvtgt_null
thaw
wait "$writer" || fail "the write"
host_disconnect other
modprobe nvtgt-null
