#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Who may connect to a subsystem.
set -eu

usage() {
	cat <<-END
	usage: ${0##*/} NQN                     show who may connect
	       ${0##*/} NQN allow HOSTNQN...    let these hosts connect as well
	       ${0##*/} NQN remove HOSTNQN...   take their right away again
	       ${0##*/} NQN only HOSTNQN...     these hosts and no others
	       ${0##*/} NQN any                 every host

	Taking a right away ends the host's connections. "allow" on a subsystem
	that is open to every host closes it to all but the named ones.
	END
}

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

put() {
	echo "$2" >"$1" || die "${1#"$root"/} does not take \"$2\": see dmesg | tail"
}

allow() {
	local host
	put "$subsystem/attr_allow_any_host" 0
	for host in "$@"; do
		[ -d "$root/hosts/$host" ] || mkdir "$root/hosts/$host" ||
			die "cannot create host $host"
		[ -L "$subsystem/allowed_hosts/$host" ] ||
			ln -s "$root/hosts/$host" "$subsystem/allowed_hosts/" ||
			die "cannot allow $host: see dmesg | tail"
	done
}

remove() {
	local host
	for host in "$@"; do
		[ -L "$subsystem/allowed_hosts/$host" ] ||
			die "$host is not allowed by name"
		rm "$subsystem/allowed_hosts/$host"
	done
}

# Keeps those who stay connected: the others go afterwards.
only() {
	local link keep
	allow "$@"
	for link in "$subsystem"/allowed_hosts/*; do
		[ -L "$link" ] || continue
		for keep in "$@"; do
			[ "${link##*/}" != "$keep" ] || continue 2
		done
		rm "$link"
	done
}

any() {
	local link
	for link in "$subsystem"/allowed_hosts/*; do
		[ ! -L "$link" ] || rm "$link"
	done
	put "$subsystem/attr_allow_any_host" 1
}

show() {
	local link
	if [ "$(cat "$subsystem/attr_allow_any_host")" = 1 ]; then
		echo "every host"
	fi
	for link in "$subsystem"/allowed_hosts/*; do
		[ ! -L "$link" ] || echo "${link##*/}"
	done
}

case ${1-} in -h | --help) usage; exit 0 ;; esac
[ $# -ge 1 ] || { usage >&2; exit 2; }
root=${NVTGT_ROOT:-/sys/kernel/config/nvtgt}
subsystem=$root/subsystems/$1
[ -d "$subsystem" ] || die "there is no subsystem $1"
verb=${2-show}
case $verb in
show | any) [ $# -le 2 ] || { usage >&2; exit 2; } ;;
allow | remove | only) [ $# -ge 3 ] || { usage >&2; exit 2; } ;;
*) usage >&2; exit 2 ;;
esac
"$verb" "${@:3}"
