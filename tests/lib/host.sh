# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What several tests of a stock host share, sourced after guest.sh.

# The host with or without its own multipathing (Y or N); back to what it was
# at the end. No controller may be there.
host_multipath() {
	local old
	modprobe nvme-core
	old=$(cat /sys/module/nvme_core/parameters/multipath)
	[ "$old" != "$1" ] || return 0
	reload_host "multipath=$1"
	defer reload_host "multipath=$old"
}

reload_host() {
	local m
	# one by one: modprobe stops at a module that the kernel does not have, such as the debug
	# kernel's nvme
	for m in nvme-tcp nvme-rdma nvme-fabrics nvme nvme-core; do
		modprobe -r "$m" 2>/dev/null || true
	done
	wait_for 10 unloaded nvme_core || fail "nvme-core does not unload"
	modprobe nvme-core "$@"
	modprobe "nvme-$TRANSPORT"
}

unloaded() { [ ! -d "/sys/module/$1" ]; }

disk_gone() { [ ! -b "$1" ]; }

# blocks_are DISK SECTORS: the host knows this size, in units of 512 bytes
blocks_are() { [ "$(cat "/sys/block/${1##*/}/size" 2>/dev/null)" = "$2" ]; }

# job NAME [OPTION=VALUE]...: a section for a fio job file
job() {
	local word
	echo "[$1]"
	shift
	for word in "$@"; do echo "$word"; done
}

# fio_job_file FILE: every job writes, reads back and compares
fio_job_file() {
	fio --minimal "$1" >"$WORK/fio.out" 2>&1 || {
		grep -avE '^3;' "$WORK/fio.out" | tail -n 20 >&2
		return 1
	}
}

# verified DISK: the part of a job file that all jobs have
verified() {
	job global "filename=$1" direct=1 ioengine=libaio verify=crc32c do_verify=1 \
		verify_fatal=1 randrepeat=1 stonewall=1
}

# stop_and_check PID: the background load has met no error
stop_and_check() {
	kill -0 "$1" 2>/dev/null || { tail -n 20 "${FIO_OUT[$1]}" >&2; fail "fio has ended"; }
	stop_load "$1"
	! grep -aiE 'verify:|bad magic|input/output error' "${FIO_OUT[$1]}" ||
		fail "fio met an error"
}
