#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgtctl export serves a device in one command, the line it prints
# connects, twice is as good as once, and unexport leaves nothing
# kernels: all
# nightly: 6.1
# timeout: 120

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks 2
export NVTGT_ROOT=$CONFIGFS
dev=$(null_blk_make size=64)
defer nvtgtctl clear
ctl() { nvtgtctl --netns tgt "$@"; }

line=$(ctl export "$dev" --host "$HOST_NQN" --traddr "$TGT_IP") || fail "export"
again=$(ctl export "$dev" --host "$HOST_NQN" --traddr "$TGT_IP") || fail "export twice"
[ "$line" = "$again" ] || fail "another line the second time: $line / $again"
nqn=${line##* }
[[ $line == "nvme connect -t tcp -a $TGT_IP -s 4420 -n nqn."* ]] || fail "the line: $line"
defer host_disconnect "$nqn"
$line >/dev/null || fail "the printed command does not connect"
ctrl=$(ctrl_of "$nqn")
wait_for 20 has_disk "$ctrl" || fail "no disk"
fio_verify "$(disk_of "$ctrl")" || fail "I/O"
host_disconnect "$nqn"

# all addresses: those that a host could use in that network namespace, each with
# a line, and no others; :: takes both families
other=$(null_blk_make size=64)
lines=$(ctl export "$other" --allow-any-host --nqn testnqn --traddr 0.0.0.0 --trsvcid 4421)
diff <(printf "nvme connect -t tcp -a %s -s 4421 -n testnqn\n" "$TGT_IP" "$TGT_IP_2" | sort) \
	<(sort <<<"$lines") || fail "the lines for 0.0.0.0"
while read -r line; do
	$line >/dev/null </dev/null || fail "it does not connect: $line"
	host_disconnect testnqn
done <<<"$lines"
ctl unexport "$other"
lines=$(ctl export "$other" --allow-any-host --nqn testnqn --traddr :: --trsvcid 4421)
diff <(printf "nvme connect -t tcp -a %s -s 4421 -n testnqn\n" "$TGT_IP" "$TGT_IP_2" "$TGT_IP6" \
	"$TGT_IP6_2" | sort) <(sort <<<"$lines") || fail "the lines for ::"
# the port's network counts, not that of the command
if target_is_nvtgt; then
	again=$(nvtgtctl export "$other" --allow-any-host --nqn testnqn --traddr :: --trsvcid 4421)
	[ "$lines" = "$again" ] || fail "other lines from outside: $again"
fi
for address in "$TGT_IP" "$TGT_IP6"; do
	grep -F -- "-a $address " <<<"$lines" | bash >/dev/null || fail "connect to $address of ::"
	host_disconnect testnqn
done

ctl unexport "$other"
ctl unexport "$dev"
[ "$(nvtgtctl show --json | jq -c '[.hosts, .ports, .subsystems]')" = '[[],[],[]]' ] ||
	fail "something is left: $(nvtgtctl show)"
