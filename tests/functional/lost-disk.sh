#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a disk that is taken away under a multipath host: its namespace is lost on all ports of
# this target, keeps its size, and the host's I/O goes on with another target
# timeout: 180

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev null
target_is_nvtgt || skip "about nvtgt beside another target"

UUID=01234567-89ab-cdef-0123-456789abcdef
modprobe scsi_debug dev_size_mb=64 sector_size=512
modprobe sd_mod
defer drop_scsi_debug
drop_scsi_debug() { wait_for 20 modprobe -r scsi_debug 2>/dev/null; }
scsi_disk() {
	local p
	for p in /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*; do
		[ -b "/dev/${p##*/}" ] || continue
		echo "/dev/${p##*/}"
		return 0
	done
	return 1
}
wait_for 30 scsi_disk >/dev/null || fail "scsi_debug makes no disk"
disk=$(scsi_disk)

# the same namespace of the same subsystem from two targets, as a mirrored pair has it
make_networks 2
same=(attr_serial=0123456789 attr_model=Pair attr_firmware=1)
make_subsystem testnqn attr_cntlid_max=100 "${same[@]}"
make_namespace testnqn 1 "$disk" device_uuid=$UUID device_nguid=$UUID
make_null_namespace testnqn 2 size=16m
make_port 1 "$TGT_IP"
make_port 2 "$TGT_IP_2"
link_port 1 testnqn
link_port 2 testnqn

modprobe nvmet-tcp
defer modprobe -r nvmet-tcp nvmet
ours=$CONFIGFS
CONFIGFS=/sys/kernel/config/nvmet
take_away() { CONFIGFS=/sys/kernel/config/nvmet; drop_port 1; drop_subsystem testnqn; CONFIGFS=$ours; }
defer take_away
mkdir $CONFIGFS/subsystems/testnqn
for a in attr_allow_any_host=1 attr_cntlid_min=101 "${same[@]}"; do
	# 6.1 has no attr_firmware
	[ ! -e "$CONFIGFS/subsystems/testnqn/${a%%=*}" ] || set_attr "subsystems/testnqn/${a%%=*}" "${a#*=}"
done
make_namespace testnqn 1 "$(null_blk_make size=64)" device_uuid=$UUID device_nguid=$UUID
in_tgt mkdir $CONFIGFS/ports/1
for a in trtype=tcp adrfam=ipv4 traddr="$TGT_IP_2" trsvcid=4421; do
	set_attr ports/1/addr_"${a%%=*}" "${a#*=}"
done
link_port 1 testnqn
CONFIGFS=$ours

# path_is CTRL NSID STATE: the ANA state that the host knows
path_is() {
	local nsid
	for nsid in /sys/class/nvme/"$1"/nvme*c*n*/nsid; do
		[ "$(cat "$nsid" 2>/dev/null)" = "$2" ] || continue
		[ "$(cat "${nsid%/*}/ana_state" 2>/dev/null)" = "$3" ]
		return
	done
	return 1
}
ns=subsystems/testnqn/namespaces/1
attr_is() { [ "$(get_attr "$1")" = "$2" ]; }

first=$(host_connect_ctrl testnqn) || fail "connect"
second=$(ADDRESS=$TGT_IP_2 host_connect_ctrl testnqn) || fail "connect to the second port"
for ctrl in "$first" "$second"; do
	wait_for 20 path_is "$ctrl" 1 optimized || fail "$ctrl is not optimized"
done
dev=$(disk_of "$first")
fio_background "$dev"
needs_progress "$dev"
other=$(PORT=4421 ADDRESS=$TGT_IP_2 host_connect_ctrl testnqn) || fail "connect to nvmet"
wait_for 20 path_is "$other" 1 optimized || fail "the other target's namespace is not a path of the same"
needs_progress "$dev"

note "the disk is taken away"
log_mark
echo 1 >"/sys/block/${disk##*/}/device/delete"
for ctrl in "$first" "$second"; do
	wait_for 20 path_is "$ctrl" 1 persistent-loss || fail "the host does not know that it is lost by $ctrl"
done
path_is "$first" 2 optimized || fail "another namespace is lost, too"
wait_for 20 path_is "$other" 1 optimized || fail "the other target's path"
needs_progress "$dev"
needs_progress "$dev"
kill -0 "$FIO_PID" 2>/dev/null || fail "fio has ended"
attr_is $ns/lost 1 || fail "lost"
attr_is $ns/size_bytes $((64 << 20)) || fail "size_bytes is $(get_attr $ns/size_bytes)"
attr_is $ns/ana_grpid 1 || fail "ana_grpid"
nvme id-ns "/dev/$first" -n 1 -o json | jq -e '.nsze == 131072' >/dev/null || fail "Identify's size"
nvme ana-log "/dev/$second" -o json >"$WORK/ana"
jq -e '.["ANA DESC LIST "] | map(select(.state == "persistent-loss")) |
	length == 1 and .[0].nnsids == 1' "$WORK/ana" >/dev/null || fail "the ANA log: $(cat "$WORK/ana")"
[ "$(log_since | grep -c 'is gone; hosts are told')" = 1 ] || fail "said more or less than once: $(log_since)"

note "its group is changed while it is lost"
set_attr $ns/ana_grpid 7
set_attr $ns/ana_grpid 1
nvme ana-log "/dev/$first" -o json |
	jq -e '[.["ANA DESC LIST "][].state] | index("persistent-loss")' >/dev/null || fail "no longer lost"

note "back again"
set_attr $ns/enable 0
for p in /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/scsi_host/host*/scan; do
	echo "- - -" >"$p"
done
wait_for 30 scsi_disk >/dev/null || fail "the disk does not come back"
set_attr $ns/device_path "$(scsi_disk)"
# to a host that has not seen that it was disabled the ANA log alone tells the group
ana_changes() { nvme ana-log "/dev/$second" -o json | jq -e .chgcnt; }
before=$(ana_changes) || fail "no change count"
set_attr $ns/enable 1
[ "$(ana_changes)" -gt "$before" ] || fail "no ANA change when it is enabled"
attr_is $ns/lost 0 || fail "lost"
for ctrl in "$first" "$second"; do
	wait_for 20 path_is "$ctrl" 1 optimized || fail "$ctrl does not come back"
done
nvme disconnect -d "$other" >/dev/null
needs_progress "$dev"
stop_and_check "$FIO_PID"
host_disconnect testnqn
rmdir "$CONFIGFS/$ns"
