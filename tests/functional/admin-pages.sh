#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: what stock nvme-cli reads of a controller: Identify, log pages, features
# kernels: 6.12
# timeout: 150
# variants: rdma

. "$TESTS/lib/guest.sh"
need_modules tcp null

# wants WHAT EXPECTED GOT
wants() { [ "$2" = "$3" ] || fail "$1 is '$3', not '$2'"; }

# id FIELD: of the controller, a number; idns NSID FIELD; feature FID [options]
id() { jq -r ".$1" <<<"$ID"; }
idns() { nvme id-ns "$dev" -n "$1" -o json | jq -r ".$2"; }
feature() {
	local fid=$1
	shift
	nvme get-feature "$dev" -f "$fid" "$@" | sed -n 's/.*value: *//p'
}

make_networks
make_subsystem testnqn attr_serial=0123456789abcdef attr_model='test model' attr_firmware=1.0
make_null_namespace testnqn 1 size=64m,lba=4096
make_null_namespace testnqn 7 size=32m
uuid=$(get_attr subsystems/testnqn/namespaces/1/device_uuid)
make_port 1 "$TGT_IP"
link_port 1 testnqn
ctrl=$(host_connect_ctrl testnqn)
dev=/dev/$ctrl
wait_for 20 has_disk "$ctrl" 1 || fail "no disk"

note "Identify Controller"
ID=$(nvme id-ctrl "$dev" -o json)
wants SN 0123456789abcdef "$(id 'sn|rtrimstr(" ")|sub(" +$";"")')"
wants MN 'test model' "$(id 'mn|sub(" +$";"")')"
wants FR 1.0 "$(id 'fr|sub(" +$";"")')"
wants SUBNQN testnqn "$(id subnqn)"
wants CNTRLTYPE 1 "$(id cntrltype)"
wants 'SQES and CQES' '102 68' "$(id sqes) $(id cqes)"
wants 'LPA, extended data' 4 $(($(id lpa) & 4))
wants 'OAES, namespaces and ANA' $((0x900)) "$(id oaes)"
wants 'CMIC, multipath and ANA' 11 "$(id cmic)"

note "namespaces"
wants 'the active list' '1 7' "$(nvme list-ns "$dev" -o json | jq -r '[.nsid_list[].nsid]|join(" ")')"
wants 'blocks of namespace 1' 16384 "$(idns 1 nsze)"
wants 'its format' 12 "$(idns 1 'lbafs[0].ds')"
wants 'blocks of namespace 7' 65536 "$(idns 7 nsze)"
wants 'blocks of a namespace that is not there' 0 "$(idns 3 nsze)"
expect_failure nvme id-ns "$dev" -n 2000
nvme ns-descs "$dev" -n 1 | grep -q "uuid *: $uuid" || fail "the descriptors do not show $uuid"
expect_failure nvme ns-descs "$dev" -n 3
nvme nvm-id-ctrl "$dev" >/dev/null
nvme nvm-id-ns "$dev" -n 1 >/dev/null
nvme cmdset-ind-id-ns "$dev" -n 1 | grep -q 'nstat *: 0x1' || fail "namespace 1 is not ready"
nvme list-ctrl "$dev" | grep -q 'num of ctrls present: 1' || fail "not one controller"
nvme id-iocs "$dev" | grep -q 'Combination\[0\]:1' || fail "no NVM command set"

note "log pages"
nvme supported-log-pages "$dev" >"$WORK/pages"
for lid in 0 0x1 0x2 0x3 0x4 0x5 0xc 0x12; do
	grep -q "^LID $lid " "$WORK/pages" || fail "log page $lid is not announced"
	# a piece of it is what stands there in the whole
	nvme get-log "$dev" -i $((lid)) -l 16 --lpo=8 -b >"$WORK/piece" || fail "log page $lid at 8"
	nvme get-log "$dev" -i $((lid)) -l 24 -b >"$WORK/whole" || fail "log page $lid"
	case $lid in 0x2) continue ;; esac	# it counts commands
	cmp -s "$WORK/piece" <(tail -c 16 "$WORK/whole") || fail "log page $lid: a piece differs"
done
expect_failure nvme get-log "$dev" -i 112 -l 16
before=$(nvme smart-log "$dev" -n 7 -o json | jq .host_write_commands)
dd if=/dev/zero of="$(disk_of "$ctrl" 7)" bs=64k count=4 oflag=direct 2>/dev/null
wants 'writes in the SMART log of namespace 7' $((before + 4)) \
	"$(nvme smart-log "$dev" -n 7 -o json | jq .host_write_commands)"
wants 'data units written, rounded up' 1 "$(nvme smart-log "$dev" -n 7 -o json | jq .data_units_written)"
wants 'writes to namespace 1' 0 "$(nvme smart-log "$dev" -n 1 -o json | jq .host_write_commands)"
expect_failure nvme smart-log "$dev" -n 3
nvme fw-log "$dev" | grep -q 'frs1.*(1.0' || fail "the firmware is not in its slot"
nvme effects-log "$dev" >"$WORK/effects"
grep -q 'Identify' "$WORK/effects" && grep -q 'Dataset Management' "$WORK/effects" ||
	fail "effects: $(cat "$WORK/effects")"

note "the last failed command stands in the error log"
expect_failure nvme read "$(disk_of "$ctrl" 1)" -s 16384 -c 0 -z 4096 >/dev/null 2>&1
nvme error-log "$dev" -e 1 -o json >"$WORK/errors"
wants 'its status, LBA Out of Range' $((0x80)) "$(jq '.errors[0].status_field % 2048' "$WORK/errors")"
wants 'its LBA' 16384 "$(jq '.errors[0].lba' "$WORK/errors")"
wants 'its namespace' 1 "$(jq '.errors[0].nsid' "$WORK/errors")"

note "features"
for fid in 8 9; do
	expect_failure nvme get-feature "$dev" -f $fid	# of PCIe functions alone
done
wants 'number of queues' 0x007f007f "$(feature 7)"
wants 'asynchronous events that the host has asked for' 0x00000900 "$(feature 0x0b)"
wants 'their default' 00000000 "$(feature 0x0b -s 1)"
wants 'keep alive' 0x00001388 "$(feature 0x0f)"
nvme set-feature "$dev" -f 0x0f -V 9100 >/dev/null
wants 'keep alive, rounded up to KAS' 0x00002710 "$(feature 0x0f)"
expect_failure nvme set-feature "$dev" -f 0x0f -V 0
expect_failure nvme set-feature "$dev" -f 0x0b -V 0x200
expect_failure nvme set-feature "$dev" -f 0x01 -V 1 -s
wants 'the host identifier' "$(tr -d -- '-\n' </etc/nvme/hostid)" \
	"$(nvme get-feature "$dev" -f 0x81 -c 1 -l 16 -b | od -An -tx1 | tr -d ' \n')"
