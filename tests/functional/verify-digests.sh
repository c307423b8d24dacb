#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: each digest alone, each with data inside of capsules and with R2T
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
dev=$(null_blk_make size=64)
simple_target testnqn "$dev"
make_port 2 "$TGT_IP" addr_trsvcid=4421 param_inline_data_size=0
link_port 2 testnqn
make_port 3 "$TGT_IP" addr_trsvcid=4422 param_inline_data_size=16384
link_port 3 testnqn

for port in 4420 4421 4422; do
	for options in "" --hdr-digest --data-digest "--hdr-digest --data-digest"; do
		[ "$port:$options" != 4420: ] || continue
		note "port $port, options '$options'"
		# shellcheck disable=SC2086
		disk=$(PORT=$port host_connect testnqn $options) || fail "connect to $port $options"
		{
			verified "$disk"
			job block rw=randwrite bs=512 iodepth=32 size=64k
			job page rw=randwrite bs=4k iodepth=32 size=512k offset=1m
			job edge rw=write bsrange=12k-20k blockalign=512 iodepth=8 size=512k offset=2m
			job odd rw=write bs=70144 iodepth=4 size=701440 offset=4m
			job big rw=write bs=1m iodepth=2 size=4m offset=8m
		} >"$WORK/jobs.fio"
		fio_job_file "$WORK/jobs.fio" || fail "port $port, options '$options'"
		host_disconnect testnqn
	done
done
