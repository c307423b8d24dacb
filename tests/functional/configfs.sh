#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: the configuration's names, values, errors and life times
# kernels: all
# nightly: 6.1
# timeout: 240

. "$TESTS/lib/guest.sh"
need_modules tcp
target_is_nvtgt || skip "the errors and the log lines are nvtgt's own"
make_networks

# denies ERROR RULE FILE VALUE: the write fails with this error, and the value stays.
# That a line of the log names the rule is looked at later, for many at once.
RULES=()
denies() {
	local error=$1 rule=$2 file=$3 value=$4 old='' said
	[ ! -r "$CONFIGFS/$file" ] || read -r old <"$CONFIGFS/$file" || true
	if said=$({ printf '%s' "$value" >"$CONFIGFS/$file"; } 2>&1); then
		fail "$file took '$value'"
	fi
	[[ $said == *"$error"* ]] || fail "$file, '$value': '$said' and not '$error'"
	[ -z "$old" ] || reads "$file" "$old"
	RULES+=("$rule")
}

# section NAME: the log has all rules since the last section, and the next begins
section() {
	local rule log
	log=$(log_since)
	for rule in "${RULES[@]}"; do
		[[ $log =~ $rule ]] || fail "no line '$rule' in the log: $log"
	done
	RULES=()
	log_mark
	note "$1"
}

# reads FILE VALUE: the bare value and a newline, nothing else
reads() {
	local got
	IFS= read -rd '' got <"$CONFIGFS/$1" || true
	[ "$got" = "$2"$'\n' ] || fail "$1 is '$got' and not '$2'"
}

# takes FILE VALUE [READ]: with a newline, without one, and once more
takes() {
	echo "$2" >"$CONFIGFS/$1" || fail "$1 does not take '$2'"
	reads "$1" "${3-$2}"
	set_attr "$1" "$2"
	set_attr "$1" "$2"
	reads "$1" "${3-$2}"
}

log_mark
section "subsystem"
mkdir "$CONFIGFS/subsystems/testnqn"
defer drop_subsystem testnqn
s=subsystems/testnqn
reads $s/attr_allow_any_host 0
reads $s/attr_version 2.1
reads $s/attr_model Linux
reads $s/attr_ieee_oui 0x000000
reads $s/attr_vendor_id 0x0
reads $s/attr_cntlid_min 1
reads $s/attr_cntlid_max 65519
reads $s/attr_qid_max 128
reads $s/attr_pi_enable 0
[[ $(get_attr $s/attr_serial) =~ ^[0-9a-f]{20}$ ]] || fail "the default serial number"
takes $s/attr_serial "my serial 1"
takes $s/attr_model "A Model"
takes $s/attr_firmware 1.0
takes $s/attr_version 1.3
takes $s/attr_version 1.4.1
takes $s/attr_version 2.0.0 2.0
takes $s/attr_ieee_oui 0xabcdef
takes $s/attr_ieee_oui 17 0x000011
takes $s/attr_vendor_id 0x1af4
takes $s/attr_subsys_vendor_id 0x1af4
takes $s/attr_qid_max 4
takes $s/attr_cntlid_max 100
takes $s/attr_cntlid_min 100
takes $s/attr_pi_enable 1
takes $s/attr_pi_enable 0
denies "Invalid argument" "testnqn: attr_serial: must be" $s/attr_serial 123456789012345678901
denies "Invalid argument" "testnqn: attr_serial: must be" $s/attr_serial $'caf\xc3\xa9'
denies "Invalid argument" "attr_model: must be" $s/attr_model ""$'\n'
denies "Invalid argument" "attr_firmware: must be" $s/attr_firmware 123456789
denies "Invalid argument" "attr_version: must be" $s/attr_version 1.2.1
denies "Invalid argument" "attr_version: must be" $s/attr_version 2.1.0x
denies "Invalid argument" "attr_version: must be" $s/attr_version 2
denies "Invalid argument" "attr_ieee_oui: must be" $s/attr_ieee_oui 0x1000000
denies "Invalid argument" "attr_vendor_id: must be" $s/attr_vendor_id 0x10000
denies "Invalid argument" "attr_qid_max: must be" $s/attr_qid_max 0
denies "Invalid argument" "attr_qid_max: must be" $s/attr_qid_max 129
denies "Invalid argument" "attr_cntlid_min: the smallest" $s/attr_cntlid_min 101
denies "Invalid argument" "attr_cntlid_max: must be" $s/attr_cntlid_max 65520
denies "Invalid argument" "attr_cntlid_max: must be" $s/attr_cntlid_max x
denies "Invalid argument" "attr_pi_enable: must be 0 or 1" $s/attr_pi_enable 2
! mkdir "$CONFIGFS/subsystems/nqn.2014-08.org.nvmexpress.discovery" 2>/dev/null ||
	fail "the discovery subsystem was made as another one"
! mkdir "$CONFIGFS/subsystems/$(printf 'x%.0s' {1..224})" 2>/dev/null ||
	fail "a name of 224 characters was taken"
long=$(printf 'x%.0s' {1..223})
mkdir "$CONFIGFS/subsystems/$long"
rmdir "$CONFIGFS/subsystems/$long"

section "hosts"
mkdir "$CONFIGFS/hosts/hostnqn"
defer drop_host hostnqn
takes $s/attr_allow_any_host 1
! ln -s "$CONFIGFS/hosts/hostnqn" "$CONFIGFS/$s/allowed_hosts/hostnqn" 2>/dev/null ||
	fail "a host was allowed beside attr_allow_any_host"
RULES+=("allowed_hosts: attr_allow_any_host must be 0")
takes $s/attr_allow_any_host 0
ln -s "$CONFIGFS/hosts/hostnqn" "$CONFIGFS/$s/allowed_hosts/hostnqn"
! ln -s "$CONFIGFS/hosts/hostnqn" "$CONFIGFS/$s/allowed_hosts/other" 2>/dev/null ||
	fail "a host was allowed twice"
! ln -s "$CONFIGFS/subsystems/testnqn" "$CONFIGFS/$s/allowed_hosts/other" 2>/dev/null ||
	fail "a subsystem was allowed as a host"
denies "Invalid argument" "attr_allow_any_host: allowed_hosts must be empty" $s/attr_allow_any_host 1
! rmdir "$CONFIGFS/hosts/hostnqn" 2>/dev/null || fail "a host in use went away"
rm "$CONFIGFS/$s/allowed_hosts/hostnqn"

section "discovery_nqn"
reads discovery_nqn nqn.2014-08.org.nvmexpress.discovery
takes discovery_nqn nqn.2020-01.org.example:discovery
denies "File exists" "discovery_nqn: a subsystem has that name" discovery_nqn testnqn
! mkdir "$CONFIGFS/subsystems/nqn.2020-01.org.example:discovery" 2>/dev/null ||
	fail "the unique discovery subsystem was made as another one"
takes discovery_nqn nqn.2014-08.org.nvmexpress.discovery

section "namespace"
dev=$(null_blk_make size=16)
mkdir "$CONFIGFS/$s/namespaces/1"
n=$s/namespaces/1
reads $n/device_path ""
reads $n/enable 0
reads $n/buffered_io 0
reads $n/ana_grpid 1
reads $n/resv_enable 0
reads $n/backend bdev
reads $n/backend_options ""
reads $n/device_nguid 00000000-0000-0000-0000-000000000000
[[ $(get_attr $n/device_uuid) =~ ^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}- ]] ||
	fail "the default UUID"
takes $n/device_uuid 01234567-89ab-cdef-0123-456789abcdef
takes $n/device_nguid 01234567-89ab-cdef-0123-456789abcdef
takes $n/device_nguid 0123456789ABCDEF0123456789abcdef 01234567-89ab-cdef-0123-456789abcdef
takes $n/ana_grpid 128
takes $n/ana_grpid 1
takes $n/buffered_io 1
takes $n/buffered_io 0
denies "Invalid argument" "namespace 1: device_uuid: must be" $n/device_uuid 01234567
denies "Invalid argument" "device_nguid: must be" $n/device_nguid 0123456789ABCDEF0123456789abcdefff
denies "Invalid argument" "device_nguid: must be" $n/device_nguid 0123456789ABCDEF
denies "Invalid argument" "ana_grpid: must be" $n/ana_grpid 0
denies "Invalid argument" "ana_grpid: must be" $n/ana_grpid 129
denies "Invalid argument" "enable: must be 0 or 1" $n/enable x
denies "Invalid argument" "resv_enable: must be 0" $n/resv_enable 1
denies "Invalid argument" "revalidate_size: the namespace must be enabled" $n/revalidate_size 1
denies "Invalid argument" "needs a device_path" $n/enable 1
takes $n/device_path /nonexistent
denies "No such file" "/nonexistent .*cannot be found" $n/enable 1
takes $n/device_path /dev/null
denies "Block device required" "neither a block device nor a regular file" $n/enable 1
takes $n/device_path dev/null
denies "Invalid argument" "must begin with /" $n/enable 1
takes $n/backend nosuch
denies "No such device" "backend nosuch cannot be had" $n/enable 1
takes $n/backend bdev
takes $n/device_path "$dev"
takes $n/backend_options a=b
denies "Invalid argument" "a=b: bdev has block_size=512" $n/enable 1
takes $n/backend_options ""
for name in 0 01 1x -1 1025; do
	! mkdir "$CONFIGFS/$s/namespaces/$name" 2>/dev/null || fail "namespace '$name' was made"
done

takes $n/enable 1
takes $n/device_path "$dev"
denies "Device or resource busy" "device_path: the namespace must be disabled" $n/device_path /dev/ram0
denies "Device or resource busy" "device_uuid: the namespace" $n/device_uuid 11234567-89ab-cdef-0123-456789abcdef
denies "Device or resource busy" "device_nguid: the namespace" $n/device_nguid 11234567-89ab-cdef-0123-456789abcdef
denies "Invalid argument" "buffered_io: the namespace" $n/buffered_io 1
denies "Device or resource busy" "backend: the namespace" $n/backend null
denies "Device or resource busy" "backend_options:" $n/backend_options a=b
set_attr $n/revalidate_size 1
takes $n/enable 0

section "two shells that race"
flip() {
	local i
	for i in {1..100}; do echo "$1" >"$CONFIGFS/$n/enable"; done
}
flip 1 &
first=$!
flip 0 &
second=$!
wait $first || fail "a racing enable failed"
wait $second || fail "a racing disable failed"
takes $n/enable 1
takes $n/enable 0

section "the null backend"
takes $n/backend null
takes $n/backend_options size=1t,lba=4096,delay_us=1
takes $n/enable 1
takes $n/backend_options size=2t,lba=4096,error=4002,error_every=10,stall=1
denies "Device or resource busy" "option lba" $n/backend_options size=2t,lba=512
denies "Invalid argument" "option size=x: must be" $n/backend_options size=x
denies "Invalid argument" "option size=1000: must be a multiple" $n/backend_options lba=4096,size=1000
denies "Invalid argument" "option error=8000: must be" $n/backend_options lba=4096,error=8000
denies "Invalid argument" "option sieze: there is none" $n/backend_options lba=4096,sieze=1
denies "Invalid argument" "option delay_us=: must be" $n/backend_options lba=4096,delay_us
takes $n/enable 0
takes $n/backend_options size=0
denies "Invalid argument" "option size=0: must be" $n/enable 1
takes $n/backend_options ""
takes $n/enable 1

section "an unbound loop device, and many namespaces on one"
modprobe loop
loop=$(losetup -f)
mkdir "$CONFIGFS/$s/namespaces/2"
takes $s/namespaces/2/device_path "$loop"
takes $s/namespaces/2/enable 1
for i in {3..30}; do
	mkdir "$CONFIGFS/$s/namespaces/$i"
	set_attr "$s/namespaces/$i/device_path" "$dev"
	set_attr "$s/namespaces/$i/device_uuid" 01234567-89ab-cdef-0123-456789abcdef
	set_attr "$s/namespaces/$i/enable" 1
done
# enabled ones may go, too
for i in {2..30}; do rmdir "$CONFIGFS/$s/namespaces/$i"; done

section "port"
p=ports/1
in_tgt mkdir "$CONFIGFS/$p"
defer drop_port 1
for a in trtype adrfam traddr trsvcid tsas; do reads $p/addr_$a ""; done
reads $p/addr_treq "not specified"
for a in inline_data_size max_queue_size mdts; do
	reads $p/param_$a -1
	reads $p/param_${a}_in_force -
done
reads $p/param_cpus all
! ln -s "$CONFIGFS/$s" "$CONFIGFS/$p/subsystems/testnqn" 2>/dev/null ||
	fail "a port without a type was opened"
RULES+=("port 1: enable: addr_trtype is not set")
takes $p/addr_trtype rdma
reads $p/addr_tsas connected
takes $p/addr_trtype fc
reads $p/addr_tsas ""
! ln -s "$CONFIGFS/$s" "$CONFIGFS/$p/subsystems/testnqn" 2>/dev/null ||
	fail "a port without a transport was opened"
RULES+=("there is no transport for addr_trtype fc")
takes $p/addr_trtype tcp
takes $p/addr_tsas none
for a in ipv6 ib fc loop pcie ipv4; do takes $p/addr_adrfam $a; done
for a in required "not required" "not specified"; do takes $p/addr_treq "$a"; done
takes $p/addr_traddr "$TGT_IP"
takes $p/addr_trsvcid 4420
takes $p/param_inline_data_size 8192
takes $p/param_max_queue_size 64
takes $p/param_mdts 5
takes $p/param_pi_enable 1
reads $p/param_hostnqn ''
reads $p/param_hostid ''
for nqn in nqn.2014-08.org.example:guest guest ÿ "a guest"; do takes $p/param_hostnqn "$nqn"; done
denies "Invalid argument" "param_hostnqn: must be" $p/param_hostnqn "$(printf 'x%.0s' {1..224})"
denies "Invalid argument" "param_hostnqn: must be" $p/param_hostnqn $'a\xff'
takes $p/param_hostid 01020304-0506-0708-090a-0b0c0d0e0f10
printf 0102030405060708090A0B0C0D0E0F10 >"$CONFIGFS/$p/param_hostid" || fail "param_hostid without dashes"
reads $p/param_hostid 01020304-0506-0708-090a-0b0c0d0e0f10
for id in 1 x 01020304-0506-0708-090a-0b0c0d0e0f 01020304-0506-0708-090a-0b0c0d0e0f1011; do
	denies "Invalid argument" "param_hostid: must be" $p/param_hostid "$id"
done
takes $p/param_cpus 1
takes $p/param_cpus all
takes $p/param_cpus 0
for list in 5000 1-0 x 0,x -1 ',' 99; do
	denies "Invalid argument" "param_cpus: must be a list" $p/param_cpus "$list"
done
denies "Invalid argument" "port 1: addr_trtype: must be" $p/addr_trtype udp
denies "Invalid argument" "addr_adrfam: must be" $p/addr_adrfam inet
denies "Invalid argument" "addr_treq: must be" $p/addr_treq maybe
denies "Invalid argument" "addr_tsas: there is no TLS" $p/addr_tsas tls1.3
denies "Invalid argument" "addr_traddr: must be" $p/addr_traddr "$(printf '1%.0s' {1..257})"
denies "Invalid argument" "addr_trsvcid: must be" $p/addr_trsvcid "44 20"
denies "Invalid argument" "param_max_queue_size: must be" $p/param_max_queue_size 0
denies "Invalid argument" "param_mdts: must be" $p/param_mdts -2
denies "Invalid argument" "param_inline_data_size: must be" $p/param_inline_data_size x
denies "Invalid argument" "param_pi_enable: must be 0 or 1" $p/param_pi_enable 2
for name in x -1 65536 01; do
	! mkdir "$CONFIGFS/ports/$name" 2>/dev/null || fail "port '$name' was made"
done

! ln -s "$CONFIGFS/$s" "$CONFIGFS/$p/subsystems/testnqn" 2>/dev/null ||
	fail "a port over TCP was opened with protection information"
RULES+=("tcp has no way to move protection information")
takes $p/param_pi_enable 0
for attr in param_hostnqn param_hostid; do
	! ln -s "$CONFIGFS/$s" "$CONFIGFS/$p/subsystems/testnqn" 2>/dev/null ||
		fail "a port over TCP was opened with a host of its own"
	RULES+=("$attr: the hosts of tcp say themselves")
	printf '\n' >"$CONFIGFS/$p/$attr" || fail "$attr cannot be emptied"
	reads $p/$attr ''
done
link_port 1 testnqn
printf '\n' >"$CONFIGFS/$p/param_hostnqn" || fail "the same again is refused"
denies "Permission denied" "param_hostnqn: the port must have no" $p/param_hostnqn host
denies "Permission denied" "param_hostid: the port must have no" $p/param_hostid 01020304-0506-0708-090a-0b0c0d0e0f10
denies "Permission denied" "param_pi_enable: the port must have no" $p/param_pi_enable 1
! ln -s "$CONFIGFS/$s" "$CONFIGFS/$p/subsystems/again" 2>/dev/null ||
	fail "a subsystem was linked twice"
! rmdir "$CONFIGFS/$p" 2>/dev/null || fail "a port with a link went away"
! rmdir "$CONFIGFS/$s" 2>/dev/null || fail "a subsystem with a namespace went away"
takes $p/addr_traddr "$TGT_IP"
reads $p/param_max_queue_size 64
denies "Permission denied" "addr_traddr: it must be disabled" $p/addr_traddr 192.0.2.99
denies "Permission denied" "addr_trsvcid: it must be disabled" $p/addr_trsvcid 4421
denies "Permission denied" "param_mdts: the port" $p/param_mdts 6
denies "Permission denied" "param_cpus: the port" $p/param_cpus 1
unlink_port 1 testnqn

# what was written stays readable beside what came of it
takes $p/param_inline_data_size -1
takes $p/param_max_queue_size 5000
takes $p/param_mdts 255
link_port 1 testnqn
reads $p/param_inline_data_size -1
reads $p/param_inline_data_size_in_force 16384
reads $p/param_max_queue_size 5000
reads $p/param_max_queue_size_in_force 1024
reads $p/param_mdts 255
reads $p/param_mdts_in_force 10
denies "Permission denied" "param_mdts: the port" $p/param_mdts 6
takes $p/param_mdts 10
unlink_port 1 testnqn
takes $p/addr_trsvcid 4421
takes $p/addr_traddr 192.0.2.99
! in_tgt ln -s "$CONFIGFS/$s" "$CONFIGFS/$p/subsystems/testnqn" 2>/dev/null ||
	fail "a port listens on an address that is not there"
RULES+=("port 1: enable: tcp does not listen on 192.0.2.99")

section "referrals and ANA groups"
mkdir "$CONFIGFS/$p/referrals/other"
r=$p/referrals/other
reads $r/enable 0
reads $r/addr_portid 0
takes $r/addr_trtype tcp
takes $r/addr_adrfam ipv4
takes $r/addr_traddr 192.0.2.77
takes $r/addr_trsvcid 8009
takes $r/addr_treq "not required"
takes $r/addr_portid 7
takes $r/enable 1
denies "Permission denied" "referral other: addr_traddr" $r/addr_traddr 192.0.2.78
denies "Permission denied" "referral other: addr_portid" $r/addr_portid 8
takes $r/enable 0
takes $r/enable 1
rmdir "$CONFIGFS/$r"
reads $p/ana_groups/1/ana_state optimized
mkdir "$CONFIGFS/$p/ana_groups/2"
reads $p/ana_groups/2/ana_state inaccessible
for a in optimized non-optimized inaccessible persistent-loss change; do
	takes $p/ana_groups/2/ana_state $a
done
denies "Invalid argument" "port 1 ANA group 2: ana_state: must be" $p/ana_groups/2/ana_state good
for name in 0 129 x 02; do
	! mkdir "$CONFIGFS/$p/ana_groups/$name" 2>/dev/null || fail "ANA group '$name' was made"
done
! rmdir "$CONFIGFS/$p/ana_groups/1" 2>/dev/null || fail "ANA group 1 went away"
rmdir "$CONFIGFS/$p/ana_groups/2"

section "a file that is open while its directory goes away"
exec 9<"$CONFIGFS/$p/ana_groups/1/ana_state" 8<"$CONFIGFS/$n/enable" 7<"$CONFIGFS/$p/addr_traddr"
rmdir "$CONFIGFS/$p"
rmdir "$CONFIGFS/$n"
rmdir "$CONFIGFS/$s"
exec 9<&- 8<&- 7<&-
section "end"
