#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Serve one device over NVMe/TCP with nothing but configfs; as export-rdma.sh,
# which is the same file, over NVMe/RDMA.
set -eu

trtype=tcp
case ${0##*/} in *rdma*) trtype=rdma ;; esac

usage() {
	cat <<-END
	usage: ${0##*/} DEVICE NQN ADDRESS [PORT] [HOSTNQN...]

	Serves DEVICE as namespace 1 of the subsystem NQN at ADDRESS and the
	service PORT (4420) over $trtype. Only the hosts that are named may connect; without any,
	every host may. A host connects with:

	  nvme connect -t $trtype -a ADDRESS -s PORT -n NQN

	The tree is \$NVTGT_ROOT, or /sys/kernel/config/nvtgt.
	END
}

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# put FILE VALUE: write an attribute; the kernel's log has the rule it breaks
put() {
	echo "$2" >"$1" || die "${1#"$root"/} does not take \"$2\": see dmesg | tail"
}

# what was made is taken away again when a later step fails
undo=()
roll_back() {
	local rc=$? i
	trap - EXIT
	if [ "$rc" != 0 ]; then
		for ((i = ${#undo[@]} - 1; i >= 0; i--)); do
			eval "${undo[i]}"
		done
	fi
	exit "$rc"
}
make() {
	mkdir "$1" || die "cannot create ${1#"$root"/}"
	undo+=("rmdir ${1@Q}")
}
connect() {
	ln -s "$1" "$2/" || die "cannot link ${1#"$root"/}: see dmesg | tail"
	local link=$2/${1##*/}
	undo+=("rm ${link@Q}")
}

case ${1-} in -h | --help) usage; exit 0 ;; esac
[ $# -ge 3 ] || { usage >&2; exit 2; }
root=${NVTGT_ROOT:-/sys/kernel/config/nvtgt}
device=$1 nqn=$2 address=$3
shift 3
service=4420
case ${1-} in [0-9]*) service=$1; shift ;; esac
[ -d "$root" ] || modprobe "nvtgt-$trtype" || true
[ -d "$root" ] || die "no $root: is the module loaded and configfs mounted?"
[ -e "$device" ] || die "there is no $device"
[ ! -d "$root/subsystems/$nqn" ] || die "subsystem $nqn exists already"
trap roll_back EXIT

subsystem=$root/subsystems/$nqn
make "$subsystem"
if [ $# = 0 ]; then
	put "$subsystem/attr_allow_any_host" 1
fi
for host in "$@"; do
	[ -d "$root/hosts/$host" ] || make "$root/hosts/$host"
	connect "$root/hosts/$host" "$subsystem/allowed_hosts"
done

make "$subsystem/namespaces/1"
put "$subsystem/namespaces/1/device_path" "$device"
put "$subsystem/namespaces/1/enable" 1

# a port that listens there already is shared
port=
for p in "$root"/ports/*; do
	[ -d "$p" ] || continue
	if [ "$(cat "$p/addr_trtype")" = "$trtype" ] && [ "$(cat "$p/addr_traddr")" = "$address" ] &&
	   [ "$(cat "$p/addr_trsvcid")" = "$service" ]; then
		port=$p
	fi
done
if [ -z "$port" ]; then
	id=1
	while [ -d "$root/ports/$id" ]; do id=$((id + 1)); done
	port=$root/ports/$id
	make "$port"
	put "$port/addr_trtype" "$trtype"
	case $address in
	*:*) put "$port/addr_adrfam" ipv6 ;;
	*) put "$port/addr_adrfam" ipv4 ;;
	esac
	put "$port/addr_traddr" "$address"
	put "$port/addr_trsvcid" "$service"
fi
connect "$subsystem" "$port/subsystems"
echo "nvme connect -t $trtype -a $address -s $service -n $nqn"
