#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Stop serving one subsystem, or everything.
set -eu

usage() {
	cat <<-END
	usage: ${0##*/} NQN      stop serving this subsystem
	       ${0##*/} --all    remove the whole configuration

	Connections end. Ports that serve nothing afterwards are removed, and with
	--all the hosts as well. Nothing on the devices is touched.
	END
}

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# The links first: what a host can still see keeps working until then.
remove_subsystem() {
	local nqn=$1 dir=$root/subsystems/$1 p
	for p in "$root"/ports/*/subsystems/"$nqn" "$dir"/allowed_hosts/*; do
		[ ! -L "$p" ] || rm "$p"
	done
	for p in "$dir"/namespaces/*; do
		[ -d "$p" ] || continue
		echo 0 >"$p/enable"
		rmdir "$p"
	done
	rmdir "$dir"
}

remove_port() {
	local dir=$1 p
	for p in "$dir"/referrals/* "$dir"/ana_groups/*; do
		# group 1 comes and goes with its port
		[ -d "$p" ] || continue
		[ "$p" != "$dir/ana_groups/1" ] || continue
		[ ! -e "$p/enable" ] || echo 0 >"$p/enable"
		rmdir "$p"
	done
	rmdir "$dir"
}

is_idle() {
	[ -z "$(ls "$1/subsystems")" ]
}

case ${1-} in -h | --help) usage; exit 0 ;; esac
[ $# = 1 ] || { usage >&2; exit 2; }
root=${NVTGT_ROOT:-/sys/kernel/config/nvtgt}
[ -d "$root" ] || die "no $root: nothing is configured"
case $1 in
--all)
	for s in "$root"/subsystems/*; do
		[ ! -d "$s" ] || remove_subsystem "${s##*/}"
	done
	for p in "$root"/ports/*; do
		[ ! -d "$p" ] || remove_port "$p"
	done
	for h in "$root"/hosts/*; do
		[ ! -d "$h" ] || rmdir "$h"
	done
	;;
-*)
	usage >&2
	exit 2
	;;
*)
	[ -d "$root/subsystems/$1" ] || die "there is no subsystem $1"
	served=()
	for p in "$root"/ports/*; do
		[ ! -L "$p/subsystems/$1" ] || served+=("$p")
	done
	remove_subsystem "$1"
	for p in "${served[@]}"; do
		! is_idle "$p" || remove_port "$p"
	done
	;;
esac
