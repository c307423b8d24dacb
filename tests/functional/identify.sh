#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: what nvme-cli reads of a controller and its namespaces: Identify, log pages, features
# timeout: 200
# variants: rdma

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
small=$(null_blk_make size=64 discard=1)
large=$(null_blk_make size=64 blocksize=4096)
uuid=01234567-89ab-cdef-0123-456789abcdef
need_modules tcp bdev
make_networks
make_subsystem testnqn attr_serial=SERIAL0815 attr_model="A test model" attr_version=2.1
! target_is_nvtgt || set_attr subsystems/testnqn/attr_firmware 4.2
make_namespace testnqn 1 "$small" device_uuid=$uuid device_nguid=0123456789abcdef0123456789abcdef
make_namespace testnqn 5 "$large"
make_port 1 "$TGT_IP"
link_port 1 testnqn
disk=$(host_connect testnqn) || fail "connect"
ctrl=/dev/$(ctrl_of testnqn)

# says COMMAND... -- FILTER WANTED: a fact from nvme-cli's JSON
says() {
	local command=() got
	while [ "$1" != -- ]; do command+=("$1"); shift; done
	"${command[@]}" -o json >"$WORK/json" 2>"$WORK/said" || fail "${command[*]}: $(cat "$WORK/said" "$WORK/json")"
	got=$(jq -r "$2" "$WORK/json") || fail "${command[*]}: no $2 in $(cat "$WORK/json")"
	[ "$got" = "$3" ] || fail "${command[*]}: $2 is '$got' and not '$3'"
}

note "controller"
says nvme id-ctrl "$ctrl" -- '.sn | rtrimstr(" ") | sub(" +$"; "")' SERIAL0815
says nvme id-ctrl "$ctrl" -- '.mn | sub(" +$"; "")' "A test model"
! target_is_nvtgt || says nvme id-ctrl "$ctrl" -- '.fr | sub(" +$"; "")' 4.2
says nvme id-ctrl "$ctrl" -- .subnqn testnqn
says nvme id-ctrl "$ctrl" -- .ver 131328
says nvme id-ctrl "$ctrl" -- .cntrltype 1
says nvme id-ctrl "$ctrl" -- '.nn >= 1024' true
says nvme id-ctrl "$ctrl" -- .sqes 102
says nvme id-ctrl "$ctrl" -- .cqes 68
says nvme id-ctrl "$ctrl" -- '.oncs | [. / 4 % 2, . / 8 % 2] | map(floor) | join(" ")' "1 1"
says nvme id-ctrl "$ctrl" -- '.cntlid' "$(cat "/sys/class/nvme/${ctrl#/dev/}/cntlid")"
says nvme id-ctrl "$ctrl" -- '.kas > 0' true

note "namespaces"
says nvme list-ns "$ctrl" -- '[.nsid_list[].nsid] | join(" ")' "1 5"
says nvme list-ns "$ctrl" --namespace-id=2 -- '[.nsid_list[].nsid] | join(" ")' 5
says nvme id-ns "$ctrl" -n 1 -- '[.nsze, .ncap, .nuse] | join(" ")' "131072 131072 131072"
says nvme id-ns "$ctrl" -n 1 -- '.lbafs[.flbas % 16].ds' 9
says nvme id-ns "$ctrl" -n 5 -- '.lbafs[.flbas % 16].ds' 12
says nvme id-ns "$ctrl" -n 5 -- .nsze 16384
says nvme id-ns "$ctrl" -n 1 -- .nguid 0123456789abcdef0123456789abcdef
says nvme ns-descs "$ctrl" -n 1 -- '[.. | objects | .uuid? // empty] | first' $uuid
says nvme ns-descs "$ctrl" -n 1 -- '[.. | objects | .nguid? // empty] | first' 0123456789abcdef0123456789abcdef
[ "$(cat "/sys/block/${disk##*/}/uuid")" = $uuid ] || fail "the kernel has another UUID"
said=$(nvme id-ns "$ctrl" -n 5000 2>&1) && fail "a namespace that cannot be: $said"
nvme id-ns "$ctrl" -n 3 2>&1 | grep -qi 'invalid\|inactive\|nsze *: 0' || fail "an inactive namespace"
nvme nvm-id-ctrl "$ctrl" >/dev/null || fail "nvm-id-ctrl"
nvme nvm-id-ns "$ctrl" -n 1 >/dev/null || fail "nvm-id-ns"
nvme cmdset-ind-id-ns "$ctrl" -n 1 >/dev/null || fail "cmdset-ind-id-ns"
says nvme list-ctrl "$ctrl" -- '[.ctrl_list[].ctrl_id] | length' 1
nvme id-iocs "$ctrl" >/dev/null || fail "id-iocs"
[ "$(nvme list-subsys -o json | jq '[.. | objects | select(.NQN? == "testnqn")] | length')" = 1 ] || fail "list-subsys"
nvme list -v >/dev/null || fail "list -v"

note "log pages"
fio_verify "$disk" --size=1m || fail "I/O"
nvme smart-log "$ctrl" -o json >"$WORK/json" || fail "smart-log"
jq -e '.critical_warning == 0 or .critical_warning.value == 0' "$WORK/json" >/dev/null || fail "smart-log: $(cat "$WORK/json")"
jq -e '(.host_write_commands | tonumber) >= 256 and (.host_read_commands | tonumber) >= 256 and
	(.data_units_written | tonumber) >= 1' "$WORK/json" >/dev/null || fail "smart-log does not count: $(cat "$WORK/json")"
nvme smart-log "$ctrl" -n 1 >/dev/null || fail "smart-log of a namespace"
# a command that fails leaves an entry
expect_failure nvme read "$disk" -s 999999999 -c 0 -z 512 >/dev/null 2>&1
expect_failure nvme admin-passthru "$ctrl" --opcode=0xc7 >/dev/null 2>&1
nvme error-log "$ctrl" -e 4 -o json >"$WORK/json" || fail "error-log"
jq -e '.errors | length == 4' "$WORK/json" >/dev/null || fail "error-log: $(cat "$WORK/json")"
jq -e '[.errors[].error_count] | max > 0' "$WORK/json" >/dev/null || fail "error-log is empty: $(cat "$WORK/json")"
nvme fw-log "$ctrl" >"$WORK/text" || fail "fw-log"
! target_is_nvtgt || grep -q '4\.2' "$WORK/text" || fail "fw-log: $(cat "$WORK/text")"
nvme effects-log "$ctrl" -o json >"$WORK/json" || fail "effects-log"
grep -q 'IO_CMD_1\|Write' "$WORK/json" || fail "effects-log: $(head -c 600 "$WORK/json")"
nvme changed-ns-list-log "$ctrl" >/dev/null || fail "changed-ns-list-log"
nvme ana-log "$ctrl" >/dev/null || fail "ana-log"
! target_is_nvtgt || nvme supported-log-pages "$ctrl" >/dev/null || fail "supported-log-pages"
said=$(nvme get-log "$ctrl" --log-id=0xc3 --log-len=512 2>&1) && fail "a log page that is not there: $said"

note "partial reads give the same bytes"
# error log entries are 64 bytes
nvme get-log "$ctrl" --log-id=1 --log-len=256 -b >"$WORK/whole" || fail "get-log"
nvme get-log "$ctrl" --log-id=1 --log-len=64 --lpo=64 -b >"$WORK/part" || fail "get-log with an offset"
cmp -n 64 -i 64:0 "$WORK/whole" "$WORK/part" || fail "a part differs"

note "features"
nvme get-feature "$ctrl" -f 7 -o normal | grep -qiE '0x[0-9a-f]+' || fail "number of queues"
for f in 0x05 0x0b 0x0f; do nvme get-feature "$ctrl" -f $f >/dev/null || fail "feature $f"; done
[[ $(nvme get-feature "$ctrl" -f 0x0b -s 0) =~ (0x[0-9a-f]+) ]] || fail "async event configuration"
expect_failure nvme get-feature "$ctrl" -f 0x7f >/dev/null 2>&1
nvme set-feature "$ctrl" -f 0x0f --value=15000 >/dev/null || fail "set keep-alive"
nvme get-feature "$ctrl" -f 0x0f | grep -qi 3a98 || fail "it keeps another keep-alive time: $(nvme get-feature "$ctrl" -f 0x0f)"
nvme show-regs "$ctrl" >/dev/null || fail "show-regs"
host_disconnect testnqn
