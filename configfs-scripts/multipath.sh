#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Serve one device at two addresses: a preferred path and a spare one.
set -eu

usage() {
	cat <<-END
	usage: ${0##*/} DEVICE NQN ADDRESS1 ADDRESS2
	       ${0##*/} --switch NQN

	Serves DEVICE as namespace 1 of the subsystem NQN at two addresses, port
	4420. The namespace is in ANA group 2, which is optimized at ADDRESS1 and
	non-optimized at ADDRESS2: a host that connects to both uses the first
	and keeps the second for when the first is gone. Every host may connect;
	see access.sh to change that.

	--switch exchanges the states of the two paths under the hosts' eyes.
	END
}

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

put() {
	echo "$2" >"$1" || die "${1#"$root"/} does not take \"$2\": see dmesg | tail"
}

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

# make_port ADDRESS STATE: with ANA group 2 in that state, and the subsystem
make_port() {
	local id=1 port
	while [ -d "$root/ports/$id" ]; do id=$((id + 1)); done
	port=$root/ports/$id
	make "$port"
	put "$port/addr_trtype" tcp
	case $1 in
	*:*) put "$port/addr_adrfam" ipv6 ;;
	*) put "$port/addr_adrfam" ipv4 ;;
	esac
	put "$port/addr_traddr" "$1"
	put "$port/addr_trsvcid" 4420
	make "$port/ana_groups/2"
	put "$port/ana_groups/2/ana_state" "$2"
	ln -s "$root/subsystems/$nqn" "$port/subsystems/" ||
		die "cannot listen at $1: see dmesg | tail"
	local link=$port/subsystems/$nqn
	undo+=("rm ${link@Q}")
	echo "nvme connect -t tcp -a $1 -s 4420 -n $nqn"
}

# The new optimized path first, so that there is always one.
switch_paths() {
	local p spare=() preferred=()
	for p in "$root"/ports/*; do
		[ -L "$p/subsystems/$nqn" ] || continue
		[ -d "$p/ana_groups/2" ] || continue
		case $(cat "$p/ana_groups/2/ana_state") in
		optimized) preferred+=("$p") ;;
		non-optimized) spare+=("$p") ;;
		esac
	done
	[ ${#spare[@]} -gt 0 ] || die "$nqn has no spare path"
	for p in "${spare[@]}"; do
		put "$p/ana_groups/2/ana_state" optimized
	done
	for p in "${preferred[@]}"; do
		put "$p/ana_groups/2/ana_state" non-optimized
	done
}

case ${1-} in -h | --help) usage; exit 0 ;; esac
root=${NVTGT_ROOT:-/sys/kernel/config/nvtgt}
if [ "${1-}" = --switch ] && [ $# = 2 ]; then
	nqn=$2
	[ -d "$root/subsystems/$nqn" ] || die "there is no subsystem $nqn"
	switch_paths
	exit 0
fi
[ $# = 4 ] || { usage >&2; exit 2; }
device=$1 nqn=$2
[ -d "$root" ] || modprobe nvtgt-tcp || true
[ -d "$root" ] || die "no $root: is the module loaded and configfs mounted?"
[ -e "$device" ] || die "there is no $device"
[ ! -d "$root/subsystems/$nqn" ] || die "subsystem $nqn exists already"
trap roll_back EXIT

subsystem=$root/subsystems/$nqn
make "$subsystem"
put "$subsystem/attr_allow_any_host" 1
make "$subsystem/namespaces/1"
put "$subsystem/namespaces/1/device_path" "$device"
put "$subsystem/namespaces/1/ana_grpid" 2
put "$subsystem/namespaces/1/enable" 1
make_port "$3" optimized
make_port "$4" non-optimized
