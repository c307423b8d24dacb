# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The functional tests' library, sourced by each of them in the guest.
#
# A test runs under `set -euo pipefail`; a failed command ends it with a line
# that names it. Whatever a helper makes, it takes away again at the end, in
# reverse order; a test does the same for its own with `defer`.
#
# The host (initiator) lives in the guest's first network namespace, since the
# nvme-tcp driver reconnects from there. The target lives in the namespace
# "tgt": a port belongs to the namespace of the process that made it.
#
# TRANSPORT is tcp, or rdma in the variant of that name: soft-RoCE, which does not
# know of network namespaces before 7.x, so all of it lives in the first one, on
# dummy devices. In the variant iwarp it is siw, iWARP over TCP, on the same.

set -euo pipefail
shopt -s nullglob

: "${TARGET_ROOT:=nvtgt}" "${TESTS:=/bench/tests}" "${KERNEL:=unknown}"
CONFIGFS=/sys/kernel/config/$TARGET_ROOT
: "${TRANSPORT:=tcp}"
! grep -q 'bench\.transport=rdma' /proc/cmdline || TRANSPORT=rdma
RDMA_DRIVER=rxe
! grep -q 'bench\.rdma=siw' /proc/cmdline || RDMA_DRIVER=siw
# how much slower than an idle machine with a stock kernel everything is here
: "${PATIENCE:=1}"

TGT_IP=192.0.2.2 HOST_IP=192.0.2.1
TGT_IP6=2001:db8::2 HOST_IP6=2001:db8::1
# a second path, where make_networks 2 was asked for
TGT_IP_2=198.51.100.2 HOST_IP_2=198.51.100.1
TGT_IP6_2=2001:db8:1::2 HOST_IP6_2=2001:db8:1::1
HOST_NQN=$(cat /etc/nvme/hostnqn 2>/dev/null || true)
HOST_ID=$(cat /etc/nvme/hostid 2>/dev/null || true)

# ---------------------------------------------------------------- verdicts

WORK=$(mktemp -d /tmp/test.XXXXXX)
: >"$WORK/.deferred"

fail() {
	local out
	# what the load in the background had to say
	for out in "$WORK"/fio-load-*.out; do
		[ ! -s "$out" ] || tail -n 10 "$out" >&2
	done
	echo "FAIL: $*" >&2
	exit 1
}

# The last line is the reason.
skip() {
	echo "$*"
	exit 77
}

note() { echo "# $*"; }

# defer CMD...: run it when the test ends, the last one first. Works from a
# subshell as well, since the list is a file.
defer() {
	printf '%q ' "$@" >>"$WORK/.deferred"
	echo >>"$WORK/.deferred"
}

run_deferred() {
	local line rc=$?
	trap - EXIT ERR
	set +e
	while read -r line; do
		eval "$line" || echo "clean-up failed: $line" >&2
	done < <(tac "$WORK/.deferred")
	cd /
	rm -rf "$WORK"
	exit "$rc"
}
trap run_deferred EXIT
trap 'exit 143' TERM
trap 'echo "failed at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR
set -E

# wait_for SECONDS CMD...: until CMD succeeds; fails when it does not in time.
# The seconds are those of an ordinary kernel on an idle machine.
wait_for() {
	local limit=$((SECONDS + $1 * PATIENCE + 1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$limit" ] || return 1
		sleep 0.1
	done
}

# expect_failure CMD...: it must fail; what it said is printed
expect_failure() {
	if "$@"; then
		fail "succeeded and should not have: $*"
	fi
}

# ---------------------------------------------------------------- kernel log

# log_mark sets a mark; log_since prints what came after it; log_has PATTERN
log_mark() {
	LOG_MARK="test mark $$ ${SRANDOM:-$RANDOM}"
	echo "$LOG_MARK" >/dev/kmsg
}

log_since() {
	dmesg --notime | awk -v mark="$LOG_MARK" 'found { print } index($0, mark) { found = 1 }'
}

# no grep -q behind a pipe: it would leave early and break it
log_has() { log_since | grep -E -- "$1" >/dev/null; }

# ---------------------------------------------------------------- modules

over_rdma() { [ "$TRANSPORT" = rdma ]; }
over_iwarp() { over_rdma && [ "$RDMA_DRIVER" = siw ]; }

# need_modules [tcp] [bdev] [null]: the target's core and these; the host's driver.
# "tcp" is the transport that the test runs over.
need_modules() {
	local m
	modprobe "nvme-$TRANSPORT"
	modprobe "$TARGET_ROOT"
	for m in "$@"; do
		[ "$m" != tcp ] || m=$TRANSPORT
		case $TARGET_ROOT:$m in
		nvmet:bdev) ;;
		nvmet:null) skip "nvmet has no null backend" ;;
		*) modprobe "$TARGET_ROOT-$m" ;;
		esac
	done
	[ -d "$CONFIGFS" ] || fail "no $CONFIGFS after loading $TARGET_ROOT"
	# the variant no-spin is one
	! grep -q 'nvtgt\.spin_us=0' /proc/cmdline || ! target_is_nvtgt ||
		[ "$(cat /sys/module/nvtgt/parameters/spin_us)" = 0 ] || fail "spin_us is not what it was to be"
}

target_is_nvtgt() { [ "$TARGET_ROOT" = nvtgt ]; }

# module_param MODULE NAME VALUE: set it, and put the old value back at the end
module_param() {
	local file=/sys/module/${1//-/_}/parameters/$2 old
	old=$(cat "$file")
	defer restore_param "$file" "$old"
	echo "$3" >"$file"
}

restore_param() { [ ! -e "$1" ] || echo "$2" >"$1"; }

# ---------------------------------------------------------------- what "# needs:" brings

SHARES=/run/shares
# need_share NAME: $SHARES/NAME is what the cache has of that name, until the end
need_share() {
	mkdir -p "$SHARES/$1"
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro,cache=loose "$1" "$SHARES/$1"
	defer umount "$SHARES/$1"
}

# ---------------------------------------------------------------- networks

in_tgt() { in_net tgt "$@"; }

# in_net NAME CMD...: in a network namespace; unlike `ip netns exec` this
# leaves /sys, and with it configfs, where it is
in_net() {
	local net=$1
	shift
	! over_rdma || { "$@"; return; }
	nsenter --net="/run/netns/$net" "$@"
}

add_netns() {
	ip netns add "$1"
	defer ip netns delete "$1"
	in_net "$1" ip link set lo up
}

# link_nets HOSTSIDE-NETNS|- HOSTIF TGTIF IP IP6 TGTIP TGTIP6: a veth pair
link_nets() {
	local net=$1 hostif=$2 tgtif=$3 run=()
	ip link add "$hostif" type veth peer name "$tgtif" netns tgt
	if [ "$net" != - ]; then
		ip link set "$hostif" netns "$net"
		run=(nsenter --net="/run/netns/$net")
	else
		defer delete_link "$hostif"
	fi
	"${run[@]}" ip addr add "$4/24" dev "$hostif"
	"${run[@]}" ip addr add "$5/64" dev "$hostif" nodad
	"${run[@]}" ip link set "$hostif" up
	in_tgt ip addr add "$6/24" dev "$tgtif"
	in_tgt ip addr add "$7/64" dev "$tgtif" nodad
	in_tgt ip link set "$tgtif" up
}

delete_link() { ! ip link show "$1" >/dev/null 2>&1 || ip link delete "$1"; }

reaches() {
	ping -c 1 -W 1 "$1" >/dev/null 2>&1
}

# rdma_device NAME NETDEV: an RDMA device on a network device, until the end
rdma_device() {
	case $RDMA_DRIVER in
	rxe) modprobe rdma_rxe ;;
	*) modprobe "$RDMA_DRIVER" ;;
	esac
	rdma link add "$1" type "$RDMA_DRIVER" netdev "$2"
	defer rdma_drop "$1"
}

rdma_drop() { ! rdma link show "$1/1" >/dev/null 2>&1 || rdma link delete "$1"; }

# rdma_net N IP IP6: a network device with these addresses and RDMA on it
rdma_net() {
	ip link add "tgt$1" type dummy
	defer delete_link "tgt$1"
	ip addr add "$2/24" dev "tgt$1"
	ip addr add "$3/64" dev "tgt$1" nodad
	ip link set "tgt$1" up
	rdma_device "$RDMA_DRIVER$1" "tgt$1"
}

# make_networks [PATHS]: the namespace tgt and one or two links to it
make_networks() {
	if over_rdma; then
		rdma_net 0 "$TGT_IP" "$TGT_IP6"
		[ "${1:-1}" -lt 2 ] || rdma_net 1 "$TGT_IP_2" "$TGT_IP6_2"
		return
	fi
	add_netns tgt
	link_nets - host0 tgt0 "$HOST_IP" "$HOST_IP6" "$TGT_IP" "$TGT_IP6"
	wait_for 10 reaches "$TGT_IP" || fail "no way to $TGT_IP"
	wait_for 10 reaches "$TGT_IP6" || fail "no way to $TGT_IP6"
	[ "${1:-1}" -ge 2 ] || return 0
	link_nets - host1 tgt1 "$HOST_IP_2" "$HOST_IP6_2" "$TGT_IP_2" "$TGT_IP6_2"
	wait_for 10 reaches "$TGT_IP_2" || fail "no way to $TGT_IP_2"
}

# add_host_net NAME N: another host's network namespace; the target answers it
# at 203.0.113.2 (N=1 … 9: 10.77.N.2)
add_host_net() {
	local name=$1 n=$2
	if over_rdma; then
		ip addr add "10.77.$n.2/24" dev tgt0
		return
	fi
	add_netns "$name"
	link_nets "$name" "eth$n" "tgt-h$n" "10.77.$n.1" "2001:db8:77:$n::1" \
		"10.77.$n.2" "2001:db8:77:$n::2"
	wait_for 10 in_net "$name" ping -c 1 -W 1 "10.77.$n.2" >/dev/null ||
		fail "$name has no way to 10.77.$n.2"
}

# ---------------------------------------------------------------- devices

# null_blk_make [ATTR=VALUE]...: prints the device. Defaults: 64 MB, in memory.
null_blk_make() {
	local n=0 dir attr
	modprobe null_blk nr_devices=0
	while [ -e "/sys/kernel/config/nullb/nullb$n" ]; do n=$((n + 1)); done
	dir=/sys/kernel/config/nullb/nullb$n
	mkdir "$dir"
	defer null_blk_drop "$dir"
	echo 64 >"$dir/size"
	echo 1 >"$dir/memory_backed"
	echo 0 >"$dir/irqmode"
	for attr in "$@"; do
		echo "${attr#*=}" >"$dir/${attr%%=*}"
	done
	echo 1 >"$dir/power"
	# before 6.12 the disk's name does not follow the directory's
	echo "/dev/nullb$(cat "$dir/index")"
}

null_blk_drop() { [ ! -d "$1" ] || { echo 0 >"$1/power"; rmdir "$1"; }; }

# brd_make [MiB]: a RAM disk that really stores
brd_make() {
	modprobe brd rd_nr=1 rd_size=$((${1:-64} * 1024))
	defer modprobe -r brd
	wait_for 5 test -b /dev/ram0
	echo /dev/ram0
}

# file_make MiB: a sparse file; loop_make MiB [losetup options]: a loop device on one
file_make() {
	local file
	file=$(mktemp "$WORK/file.XXXXXX")
	truncate -s "${1}M" "$file"
	echo "$file"
}

loop_make() {
	local file size=$1 dev
	shift
	modprobe loop
	file=$(file_make "$size")
	dev=$(losetup --find --show "$@" "$file")
	defer losetup -d "$dev"
	echo "$dev"
}

# dm_make NAME TABLE: a device-mapper device
dm_make() {
	modprobe dm-mod
	dmsetup create "$1" --noudevsync --table "$2"
	defer dmsetup remove --noudevsync --retry "$1"
	dmsetup mknodes "$1" >/dev/null 2>&1 || true
	echo "/dev/mapper/$1"
}

# ---------------------------------------------------------------- the target

# set_attr FILE VALUE: below the target's root; says what was refused
set_attr() {
	printf '%s' "$2" >"$CONFIGFS/$1" || fail "$1 does not take '$2'"
}

get_attr() { cat "$CONFIGFS/$1"; }

# refuses FILE VALUE: the attribute must refuse the value and keep the old one
refuses() {
	local old
	old=$(get_attr "$1" 2>/dev/null) || old=
	if printf '%s' "$2" >"$CONFIGFS/$1" 2>/dev/null; then
		fail "$1 took '$2'"
	fi
	[ "$(get_attr "$1" 2>/dev/null || true)" = "$old" ] ||
		fail "$1 refused '$2', but its value changed"
}

# make_subsystem NQN [ATTR=VALUE]...: any host may connect unless told otherwise
make_subsystem() {
	local nqn=$1 attr
	shift
	mkdir "$CONFIGFS/subsystems/$nqn"
	defer drop_subsystem "$nqn"
	set_attr "subsystems/$nqn/attr_allow_any_host" 1
	for attr in "$@"; do
		set_attr "subsystems/$nqn/${attr%%=*}" "${attr#*=}"
	done
}

# make_namespace NQN NSID DEVICE [ATTR=VALUE]...: made and enabled
make_namespace() {
	local dir=subsystems/$1/namespaces/$2 attr device=$3
	shift 3
	mkdir "$CONFIGFS/$dir"
	set_attr "$dir/device_path" "$device"
	for attr in "$@"; do
		set_attr "$dir/${attr%%=*}" "${attr#*=}"
	done
	set_attr "$dir/enable" 1
}

# make_null_namespace NQN NSID OPTIONS: on the null backend
make_null_namespace() {
	local dir=subsystems/$1/namespaces/$2
	target_is_nvtgt || skip "nvmet has no null backend"
	mkdir "$CONFIGFS/$dir"
	set_attr "$dir/backend" null
	set_attr "$dir/backend_options" "$3"
	set_attr "$dir/enable" 1
}

enable_namespace() { set_attr "subsystems/$1/namespaces/$2/enable" "$3"; }

# make_port ID ADDRESS [ATTR=VALUE]...: in the target's network namespace
make_port() {
	local id=$1 address=$2 attr family=ipv4
	shift 2
	case $address in *:*) family=ipv6 ;; esac
	in_tgt mkdir "$CONFIGFS/ports/$id"
	defer drop_port "$id"
	set_attr "ports/$id/addr_trtype" "$TRANSPORT"
	set_attr "ports/$id/addr_adrfam" "$family"
	set_attr "ports/$id/addr_traddr" "$address"
	set_attr "ports/$id/addr_trsvcid" 4420
	for attr in "$@"; do
		set_attr "ports/$id/${attr%%=*}" "${attr#*=}"
	done
}

link_port() {
	in_tgt ln -s "$CONFIGFS/subsystems/$2" "$CONFIGFS/ports/$1/subsystems/$2"
}

unlink_port() { rm -f "$CONFIGFS/ports/$1/subsystems/$2"; }

# allow_host NQN HOSTNQN / deny_host NQN HOSTNQN
allow_host() {
	if [ ! -d "$CONFIGFS/hosts/$2" ]; then
		mkdir "$CONFIGFS/hosts/$2"
		defer drop_host "$2"
	fi
	ln -s "$CONFIGFS/hosts/$2" "$CONFIGFS/subsystems/$1/allowed_hosts/$2"
}

deny_host() { rm -f "$CONFIGFS/subsystems/$1/allowed_hosts/$2"; }

drop_port() {
	local dir=$CONFIGFS/ports/$1 p
	[ -d "$dir" ] || return 0
	for p in "$dir"/subsystems/*; do rm -f "$p"; done
	for p in "$dir"/referrals/*/ "$dir"/ana_groups/*/; do
		case $p in */ana_groups/1/) continue ;; esac
		rmdir "$p"
	done
	rmdir "$dir"
}

drop_subsystem() {
	local dir=$CONFIGFS/subsystems/$1 p
	[ -d "$dir" ] || return 0
	for p in "$CONFIGFS"/ports/*/subsystems/"$1" "$dir"/allowed_hosts/*; do rm -f "$p"; done
	for p in "$dir"/namespaces/*/; do rmdir "$p"; done
	rmdir "$dir"
}

drop_host() {
	local p
	for p in "$CONFIGFS"/subsystems/*/allowed_hosts/"$1"; do rm -f "$p"; done
	[ ! -d "$CONFIGFS/hosts/$1" ] || rmdir "$CONFIGFS/hosts/$1"
}

# simple_target NQN DEVICE: networks, one subsystem with one namespace, one port
simple_target() {
	need_modules tcp bdev
	make_networks
	make_subsystem "$1"
	make_namespace "$1" 1 "$2"
	make_port 1 "$TGT_IP"
	link_port 1 "$1"
}

# ---------------------------------------------------------------- the host

controllers() {
	local c
	for c in /sys/class/nvme/nvme*; do echo "${c##*/}"; done
}

no_controllers() { [ -z "$(controllers)" ]; }

# ctrl_of NQN: names of the controllers connected to a subsystem
ctrl_of() {
	local c
	for c in /sys/class/nvme/nvme*; do
		[ "$(cat "$c/subsysnqn" 2>/dev/null)" != "$1" ] || echo "${c##*/}"
	done
}

ctrl_state() { cat "/sys/class/nvme/$1/state" 2>/dev/null || echo gone; }

ctrl_is() { [ "$(ctrl_state "$1")" = "$2" ]; }

# disk_of CTRL [NSID]: the block device that a controller's namespace appears as
disk_of() {
	local ctrl=$1 nsid=${2:-1} p name
	for p in /sys/class/nvme/"$ctrl"/nvme*n*; do
		name=${p##*/}
		[ "$(cat "$p/nsid" 2>/dev/null)" = "$nsid" ] || continue
		# with multipathing, nvme0c1n1 is a path of the disk nvme0n1
		[[ ! $name =~ ^(nvme[0-9]+)c[0-9]+(n[0-9]+)$ ]] ||
			name=${BASH_REMATCH[1]}${BASH_REMATCH[2]}
		[ -b "/dev/$name" ] || return 1
		echo "/dev/$name"
		return 0
	done
	return 1
}

has_disk() { disk_of "$@" >/dev/null; }

# host_connect_ctrl NQN [nvme connect options]: prints the controller's name.
# HOST_NET names the network namespace to connect from, ADDRESS and PORT where to.
host_connect_ctrl() {
	local nqn=$1 ctrl run=() where=()
	shift
	[ -z "${HOST_NET-}" ] || run=(in_net "$HOST_NET")
	where=(-t "$TRANSPORT" -a "${ADDRESS:-$TGT_IP}" -s "${PORT:-4420}")
	ctrl=$("${run[@]}" nvme connect -o json "${where[@]}" -n "$nqn" "$@" |
		jq -r '.device // empty') || return 1
	[ -n "$ctrl" ] || return 1
	defer drop_ctrl "$ctrl" "$nqn"
	echo "$ctrl"
}

# host_connect NQN [options]: prints the block device of namespace ${NSID:-1}
host_connect() {
	local ctrl
	ctrl=$(host_connect_ctrl "$@") || return 1
	wait_for 20 has_disk "$ctrl" "${NSID:-1}" || {
		echo "namespace ${NSID:-1} of $ctrl did not appear" >&2
		return 1
	}
	disk_of "$ctrl" "${NSID:-1}"
}

drop_ctrl() {
	[ "$(cat "/sys/class/nvme/$1/subsysnqn" 2>/dev/null)" = "$2" ] || return 0
	timeout $((60 * PATIENCE)) nvme disconnect -d "$1" >/dev/null
}

host_disconnect() {
	nvme disconnect -n "$1" >/dev/null || return 1
	wait_for 20 no_ctrl_of "$1"
}

no_ctrl_of() { [ -z "$(ctrl_of "$1")" ]; }

# ---------------------------------------------------------------- load

# fio_verify DEVICE [fio options]: write, then read back and compare
fio_verify() {
	local dev=$1
	shift
	fio --name=verify --filename="$dev" --direct=1 --ioengine=libaio \
		--rw=randwrite --bs=4k --iodepth=16 --size=8m --randrepeat=1 \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --group_reporting \
		--minimal "$@" >"$WORK/fio.out" 2>&1 || {
		tail -n 20 "$WORK/fio.out" >&2
		return 1
	}
}

# fio_background DEVICE [options]: sets FIO_PID; ended with the test. What it says is in FIO_OUT[$FIO_PID],
# and as fio-load.out that of the last one
declare -A FIO_OUT=()
fio_background() {
	local dev=$1 out
	shift
	out=$(mktemp "$WORK/fio-load-XXXX.out")
	ln -sf "$out" "$WORK/fio-load.out"
	fio --name=load --filename="$dev" --direct=1 --ioengine=libaio \
		--rw=randrw --bs=4k --iodepth=16 --time_based --runtime=3600 \
		--group_reporting --minimal "$@" >"$out" 2>&1 &
	FIO_PID=$!
	FIO_OUT[$FIO_PID]=$out
	defer stop_load "$FIO_PID"
}

# stop_load PID: a fio that has just been started ignores SIGINT until it has set its handler
stop_load() {
	local tick
	while kill -INT "$1" 2>/dev/null; do
		for ((tick = 0; tick < 20; tick++)); do
			kill -0 "$1" 2>/dev/null || break
			sleep 0.1
		done
	done
	wait "$1" 2>/dev/null || true
}

# ios DEVICE: a count that grows with the reads and writes that the disk finishes.
# Before 6.4 a disk with several paths counts nothing itself, but its paths do.
ios() {
	local name=${1##*/}
	awk '{ sum += $1 + $5 } END { print sum + 0 }' "/sys/block/$name/stat" \
		"/sys/block/${name%n*}"c*"n${name##*n}/stat"
}

makes_progress_since() { [ "$(ios "$1")" -gt "$2" ]; }

# needs_progress DEVICE [SECONDS]: I/O must get on within that time
needs_progress() {
	wait_for "${2:-30}" makes_progress_since "$1" "$(($(ios "$1") + 16))" ||
		fail "$1: no I/O gets on within ${2:-30} times $PATIENCE seconds; out: $(cat "/sys/block/${1##*/}/inflight")"
}

# mount_new FSTYPE DEVICE DIR: make a file system and mount it
mount_new() {
	case $1 in
	xfs) modprobe xfs; mkfs.xfs -q -f "$2" ;;
	ext4) mkfs.ext4 -q -F "$2" ;;
	*) fail "mount_new knows ext4 and xfs" ;;
	esac
	mkdir -p "$3"
	mount -t "$1" "$2" "$3"
	defer umount_if "$3"
}

umount_if() { ! mountpoint -q "$1" || umount "$1"; }

# tree_digest DIR: one hash of all names, types and contents below it
tree_digest() {
	(cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
		find . -not -name lost+found -printf '%y %p %l\n' | LC_ALL=C sort) | sha256sum
}
