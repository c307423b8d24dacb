#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a guest's driver at full speed: data of all sizes, and what a command costs in steady state
# (doorbells that are exits of the guest, interrupts); an idle guest costs nothing
# kernels: all
# timeout: 300
# nightly: 6.1 6.12

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/vm.sh"
disk=$(null_blk_make size=64 memory_backed=1)
make_subsystem testnqn
make_namespace testnqn 1 "$disk"
vm_port 1 $VM_SOCKET
link_port 1 testnqn
log_mark
# the reactor's polling after each command would make doorbells rarer than they need to be
module_param nvtgt spin_us 0

# load ARGUMENT...: sets ios, doorbells, interrupts, sleeps and so on
load() {
	local out
	out=$("$TESTS/../.tools/usr/lib/nvtgt-tests/vmload" "$@") || fail "vmload $*: $out"
	echo "$* : $out"
	# shellcheck disable=SC2086
	local $out
	[ "$ios" -gt 0 ] || fail "nothing was done"
	DOORBELLS=$doorbells INTERRUPTS=$interrupts IOS=$ios CHECKED=$checked
}

note "what is written is what is read"
while read -r bytes depth; do
	load --write --depth "$depth" --bytes "$bytes" --ios 200
	# the same blocks, for the numbers are drawn alike
	load --depth "$depth" --bytes "$bytes" --ios 200
	[ "$CHECKED" -ge 200 ] || fail "only $CHECKED blocks of what was written have been read"
done <<-END
	512 1
	3584 7
	4096 64
	8192 3
	12288 7
	65536 64
	1048576 1
	1048576 64
END
load --write --depth 256 --ios 20000 --no-shadow
load --depth 256 --ios 20000 --poll

note "a busy guest: the controller looks by itself, and interrupts once for what it has done"
load --depth 64 --ios 20000
[ "$DOORBELLS" -lt $((IOS / 4)) ] || fail "$DOORBELLS doorbells for $IOS commands"
[ "$INTERRUPTS" -lt $((IOS / 4)) ] || fail "$INTERRUPTS interrupts for $IOS commands"
load --depth 1 --ios 2000
[ "$INTERRUPTS" -le "$IOS" ] || fail "$INTERRUPTS interrupts for $IOS commands"
load --depth 32 --ios 5000 --no-shadow
[ "$DOORBELLS" -le $((2 * IOS + 64)) ] || fail "$DOORBELLS doorbells for $IOS commands"

note "an idle guest"
# busy: nanoseconds that the target's threads have run
busy() {
	local comm ns sum=0
	for comm in /proc/[0-9]*/comm; do
		grep -qs '^nvtgt' "$comm" || continue
		read -r ns _ <"${comm%comm}schedstat" || continue
		sum=$((sum + ns))
	done
	echo "$sum"
}
"$TESTS/../.tools/usr/lib/nvtgt-tests/vmload" --depth 4 --ios 1000 --idle 5 >"$WORK/idle" &
pid=$!
idle() { grep -q idle "$WORK/idle"; }
wait_for 60 idle || fail "vmload is not idle: $(cat "$WORK/idle")"
before=$(busy) from=$(date +%s%N)
wait "$pid" || fail "vmload"
after=$(busy) to=$(date +%s%N)
[ $((to - from)) -gt 1000000000 ] || fail "it was idle for $((to - from)) ns only"
[ $((after - before)) -lt $(((to - from) / 4)) ] || fail "$((after - before)) ns of $((to - from)) for an idle guest"
! log_has "WARNING|BUG" || { log_since; fail "the kernel complains"; }
