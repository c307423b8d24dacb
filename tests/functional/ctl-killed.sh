#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: two runs of nvtgtctl at once never interleave; one that is killed in
# the middle is completed by the next
# kernels: 6.12
# timeout: 240

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks
export NVTGT_ROOT=$CONFIGFS
ctl() { nvtgtctl --netns tgt "$@"; }
dev=$(null_blk_make size=64)
defer nvtgtctl clear
cd "$WORK"

# two runs at a time, each taking the first free number
ctl subsystem create testnqn --allow-any-host
for run in 1 2; do
	for _ in {1..10}; do
		ctl --quiet namespace create testnqn --device "$dev" || echo failed
	done >"nsids.$run" 2>&1 &
	pids[run]=$!
done
wait "${pids[@]}"
[ "$(sort -n nsids.1 nsids.2 | tr '\n' ' ')" = "$(echo {1..20}) " ] ||
	fail "two at once: $(cat nsids.1 nsids.2)"

# a restore and a clear at once: either none or all of it remains
ctl port create 1 --traddr "$TGT_IP" --subsystem testnqn
ctl save full.json
for _ in 1 2 3; do
	ctl --quiet restore --clear full.json &
	pid=$!
	ctl --quiet clear
	wait "$pid" || fail "restore beside clear"
	case $(nvtgtctl show --json | jq '[.subsystems[].namespaces[]] | length') in
	0 | 20) ;;
	*) fail "half of it: $(nvtgtctl show)" ;;
	esac
done

# killed in the middle, at different times; the same command then completes it
killed=0
for ms in 5 10 20 40 60 80 120 160 240; do
	ctl clear
	nvtgtctl --netns tgt restore full.json >/dev/null 2>&1 &
	pid=$!
	sleep "0.$(printf %03d "$ms")"
	kill -9 "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || killed=$((killed + 1))
	ctl apply full.json || fail "apply after a kill at $ms ms"
	ctl save now.json
	cmp full.json now.json || fail "not complete after a kill at $ms ms"
done
[ "$killed" -gt 0 ] || fail "no run was killed in the middle"
host_connect testnqn >/dev/null || fail "connect"
host_disconnect testnqn
