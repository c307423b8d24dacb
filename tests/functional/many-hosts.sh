#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a hundred hosts with sixteen I/O queues each connect, run and leave
# cpus: 8
# variants: rdma
# nightly: all
# timeout: 900

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
# the debug kernel is six times slower, and a fifth of them goes the same ways
[ -z "${DEBUG_KERNEL-}" ] || : "${HOSTS:=20}"
: "${HOSTS:=100}"
host_multipath N		# a disk for each host
dev=$(null_blk_make size=256)
simple_target testnqn "$dev"

host_nqn() { printf 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-%012d' "$1"; }
disks=()
for i in $(seq "$HOSTS"); do
	# as many queues for reads as there are CPUs, and as many for writes
	disk=$(host_connect testnqn --hostnqn="$(host_nqn "$i")" --hostid="00000000-0000-4000-8000-$(printf %012d "$i")" \
		--nr-io-queues=8 --nr-write-queues=8 --queue-size=32) || fail "host $i does not get in"
	disks+=("$disk")
	[ $((i % 20)) != 0 ] || note "$i hosts are connected"
done
[ "$(printf '%s\n' "${disks[@]}" | sort -u | wc -l)" = "$HOSTS" ] || fail "some hosts share a disk"
for d in "${disks[@]}"; do
	[ "$(cat "/sys/block/${d##*/}/device/queue_count")" = 17 ] ||
		fail "$d: $(cat "/sys/block/${d##*/}/device/queue_count") queues and not 17"
done
if target_is_nvtgt; then
	dir=/sys/kernel/debug/$TARGET_ROOT
	[ "$(awk 'NR > 1 { n += $2 } END { print n }' "$dir/reactors")" = $((HOSTS * 17)) ] ||
		fail "$(cat "$dir/reactors")"
	cat "$dir/reactors"
fi

note "all of them at once, on all queues"
{
	job global direct=1 ioengine=libaio rw=randrw bs=4k iodepth=$HOSTS file_service_type=roundrobin \
		size=$((256 * HOSTS))m number_ios=$((HOSTS * 20)) cpus_allowed=0-7 cpus_allowed_policy=split numjobs=8 \
		"filename=$(IFS=:; echo "${disks[*]}")"
	job run
} >"$WORK/jobs.fio"
fio_job_file "$WORK/jobs.fio" || fail "I/O"
for d in "${disks[@]}"; do
	[ "$(ios "$d")" -gt 0 ] || fail "$d has done nothing"
done

note "all of them leave at once"
timeout $((300 * PATIENCE)) nvme disconnect -n testnqn >/dev/null || fail "disconnect"
wait_for 120 no_controllers || fail "the host keeps $(controllers | wc -l) controllers"
if target_is_nvtgt; then
	nobody() { [ "$(awk 'NR > 1 { n += $2 } END { print n + 0 }' "$dir/reactors")" = 0 ]; }
	wait_for 60 nobody || fail "$(cat "$dir/reactors")"
fi
