# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests with the raw peer serve, sourced after guest.sh:
#
#   nqn…:hostile   any host; namespace 1 stores (512-byte blocks), 2 is on the
#                  null backend (4 KiB blocks), 3 as well but is not enabled
#   nqn…:other     any host; a null namespace; may be unlinked and linked
#   nqn…:closed    one host, the friend
#   nqn…:witness   a stock host does verified I/O here meanwhile

HOSTILE=nqn.2026-11.test:hostile
OTHER=nqn.2026-11.test:other
CLOSED=nqn.2026-11.test:closed
FRIEND=nqn.2026-11.test:friend
WITNESS=nqn.2026-11.test:witness

# The bench's check of itself against nvmet has no null backend; the cases that
# need one say so there.
null_namespace() {
	if target_is_nvtgt; then
		make_null_namespace "$@"
	else
		make_namespace "$1" "$2" "$(null_blk_make size=1024 blocksize=4096 memory_backed=0)"
	fi
}

hostile_target() {
	local dev n
	need_modules tcp bdev
	! target_is_nvtgt || need_modules null
	make_networks
	dev=$(null_blk_make size=64 discard=1)
	make_subsystem "$HOSTILE"
	make_namespace "$HOSTILE" 1 "$dev"
	null_namespace "$HOSTILE" 2 size=1t,lba=4096
	null_namespace "$HOSTILE" 3 size=1t,lba=4096
	enable_namespace "$HOSTILE" 3 0
	make_subsystem "$OTHER"
	null_namespace "$OTHER" 1 size=1g,lba=4096
	make_subsystem "$CLOSED" attr_allow_any_host=0
	allow_host "$CLOSED" "$FRIEND"
	make_subsystem "$WITNESS"
	dev=$(null_blk_make size=64)
	make_namespace "$WITNESS" 1 "$dev"
	make_port 1 "$TGT_IP"
	for n in "$HOSTILE" "$OTHER" "$CLOSED" "$WITNESS"; do link_port 1 "$n"; done

	export NVTGT_ADDR=$TGT_IP NVTGT_PORT=4420 NVTGT_NQN=$HOSTILE NVTGT_ROOT=$CONFIGFS
	export NVTGT_OTHER_NQN=$OTHER NVTGT_CLOSED_NQN=$CLOSED NVTGT_FRIEND=$FRIEND
	export NVTGT_NULL_OPTIONS=$CONFIGFS/subsystems/$HOSTILE/namespaces/2/backend_options
	export NVTGT_NS3=$CONFIGFS/subsystems/$HOSTILE/namespaces/3
	export NVTGT_PORT_DIR=$CONFIGFS/ports/1
	export NVTGT_PARAMETERS=/sys/module/nvtgt_$TRANSPORT/parameters
	export NVTGT_SETUP_TIMEOUT=$NVTGT_PARAMETERS/setup_timeout_ms
	export NVTGT_DATA_TIMEOUT=$NVTGT_PARAMETERS/data_timeout_ms
	export NVTGT_TIMEOUT=$((30 * PATIENCE)) PYTHONDONTWRITEBYTECODE=1
}

# A stock host writes and verifies on a subsystem of its own, at a rate that
# leaves the machine to the test.
witness_starts() {
	# a guest that stands still for a while must not cost the connection
	WITNESS_DISK=$(host_connect "$WITNESS" --keep-alive-tmo=120) || fail "the witness does not connect"
	fio_background "$WITNESS_DISK" --rw=randwrite --iodepth=4 --size=16m --rate_iops=100 \
		--verify=crc32c --verify_backlog=64 --verify_fatal=1
	needs_progress "$WITNESS_DISK"
}

witness_goes_on() {
	kill -0 "$FIO_PID" 2>/dev/null || { tail -n 20 "$WORK/fio-load.out"; fail "the witness's fio has ended"; }
	needs_progress "$WITNESS_DISK" || fail "the witness's I/O stands still"
	stop_load "$FIO_PID"
	# no grep hit: fio has found nothing wrong
	! grep -aE 'verify:|bad magic|[Ii]nput/output error' "$WORK/fio-load.out" || fail "the witness read wrong data"
	# a debug kernel is slow enough to run into the host's own time-outs
	[ -n "${DEBUG_KERNEL-}" ] || [ "$(log_since | grep -cE "nvme.*(timeout|resetting|reconnect)" || true)" = 0 ] ||
		fail "the witness's connection was disturbed"
	host_disconnect "$WITNESS"
}

# hostile_cases PROGRAM: run its cases beside the witness
hostile_cases() {
	hostile_target
	log_mark
	witness_starts
	# shellcheck disable=SC2086
	python3 "$TESTS/functional/hostile/$1" ${CASES-} || fail "$1: cases went wrong"
	witness_goes_on
}
