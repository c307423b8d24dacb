#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: the file that save writes asks for nothing, whatever the attributes are:
# defaults, values that the target brings inside its bounds, other spellings;
# applying it disconnects no host
# timeout: 180

. "$TESTS/lib/guest.sh"
target_is_nvtgt || skip "nvmet has no file that shows what is in force"
need_modules tcp bdev null
make_networks
export NVTGT_ROOT=$CONFIGFS
ctl() { nvtgtctl --netns tgt "$@"; }
dev=$(null_blk_make size=64)
file=$(file_make 8)
defer nvtgtctl clear
cd "$WORK"

ctl subsystem create testnqn --allow-host "$HOST_NQN" cntlid_min=7 cntlid_max=0x100 \
	version=2.1.0 model="  odd = model  " serial=007
ctl subsystem create other --allow-any-host serial=0x10
ctl host create nqn.2014-08.org.nvmexpress:unused
ctl namespace create testnqn --device "$dev" --uuid 01234567-89AB-CDEF-0123-456789ABCDEF \
	--nguid 00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:FF --ana-group 3 >/dev/null
ctl namespace create testnqn --nsid 1024 --device "$file" --buffered-io
ctl namespace create testnqn --nsid 5 --disabled device_path=/dev/not-there
ctl namespace create other --backend null --backend-options size=64m,lba=4096,error=4002,error_every=1000 \
	>/dev/null
ctl namespace create other --nsid 9 --disabled
# all defaults, all clamped, all beyond, all explicit
ctl port create 1 --traddr "$TGT_IP" --subsystem testnqn
ctl port create 2 --traddr "$TGT_IP" --trsvcid 4421 max_queue_size=65535 mdts=0 inline_data_size=4194304 \
	--cpus 0-1 --subsystem testnqn
ctl port create 3 --traddr "$TGT_IP6" --trsvcid 4422 max_queue_size=1 mdts=0xff inline_data_size=0 \
	--cpus 1,0 --treq "not required" --subsystem testnqn --subsystem other
ctl port create 4 --traddr "$TGT_IP" --trsvcid 4423 max_queue_size=100 mdts=3 inline_data_size=1000 \
	--cpus 1 --subsystem other
ctl port create 65535 --traddr 203.0.113.99
ctl ana-group create 1 3 --state optimized
# not on the port that the host is connected to: it waits for the end of a change 20 s at most
ctl ana-group create 2 128 --state change
ctl ana-group set 2 1 state=non-optimized
ctl referral create 1 spare --traddr 198.51.100.77 --portid 65535
ctl referral create 1 off --traddr 2001:DB8::77 --treq required --disabled

disk=$(host_connect testnqn --keep-alive-tmo 120) || fail "connect"
ctrl=$(ctrl_of testnqn)
cntlid=$(cat "/sys/class/nvme/$ctrl/cntlid")
fio_background "$disk" --iodepth=2
needs_progress "$disk"
log_mark

# undisturbed WHAT: the same controller, still at work, never reconnected
undisturbed() {
	[ "$(cat "/sys/class/nvme/$ctrl/cntlid")" = "$cntlid" ] || fail "$1: another controller"
	ctrl_is "$ctrl" live || fail "$1: the controller is $(ctrl_state "$ctrl")"
	! log_has "nvme $ctrl: .*(reconnect|resetting|keep-alive|failed)|I/O error" || fail "$1: $(log_since)"
}

# nothing_to_do FILE WHAT: a dry run has no step, and applying it disturbs nobody
nothing_to_do() {
	local steps
	steps=$(ctl apply --dry-run "$1") || fail "$2: dry run"
	[ -z "$steps" ] || fail "$2: steps: $steps"
	ctl apply "$1" || fail "$2: apply"
	undisturbed "$2"
}

ctl save saved.json
nothing_to_do saved.json "the saved file"
for value in '"-1"' '"65535"'; do
	grep -q "max_queue_size\": $value" saved.json || fail "max_queue_size: $value is not in the file"
done
ctl save again.json
cmp saved.json again.json || fail "saved twice, and it differs"

# other spellings of the same, and the values in force as another target's file has them
mdts=$(get_attr ports/1/param_mdts_in_force)
[ "$mdts" -gt 0 ] || fail "mdts in force: $mdts"
jq --arg mdts "$mdts" '(.ports[] | select(.portid == 1)).param |=
		{inline_data_size: "16384", max_queue_size: "1024", mdts: $mdts, cpus: "0-1"} |
	(.ports[] | select(.portid == 2)).param.cpus = "0,1" |
	(.subsystems[].namespaces[] | select(.nsid == 1024)).device.nguid = "00000000-0000-0000-0000-000000000000"' \
	saved.json >other.json
[ "$(cat /sys/devices/system/cpu/possible)" = 0-1 ] || fail "the guest may have other CPUs than 0-1"
nothing_to_do other.json "other spellings"

# what is in force stands beside what was configured
nvtgtctl port show 1 >shown
for line in "param_max_queue_size: -1" "param_max_queue_size_in_force: 1024" \
	"param_mdts: -1" "param_inline_data_size_in_force: 16384"; do
	grep -qx "  $line" shown || fail "no '$line': $(cat shown)"
done
needs_progress "$disk" || fail "I/O stands still"
stop_load "$FIO_PID"
host_disconnect testnqn

# and it all comes back from the file
ctl clear
ctl restore saved.json 2>err || fail "restore: $(cat err)"
ctl save again.json
cmp saved.json again.json || fail "restored and saved: $(diff saved.json again.json)"
