#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: what the README tells to type works, as it stands there
# kernels: 6.12
# timeout: 180

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks
export NVTGT_ROOT=$CONFIGFS
dev=$(null_blk_make size=64)
defer nvtgtctl clear

# The lines of all ```sh blocks, continued ones joined, comments gone.
awk '/^```sh/ { on = 1; next } /^```/ { on = 0 } on' "$TESTS/../README.md" |
	sed -e ':a' -e '/\\$/N; s/\\\n *//; ta' -e 's/[[:space:]]*#.*//' >"$WORK/lines"

commands() { grep -E "^$1( |\$)" "$WORK/lines"; }

# the two commands, and the one test
[ "$(head -n 2 "$WORK/lines" | tr '\n' ' ')" = "tests/demo tests/run " ] || fail "the two commands"
while read -r line; do
	set -- $line
	[ -x "$TESTS/../$1" ] || fail "no $1"
	for word; do
		case $word in
		functional/*) [ -x "$TESTS/$word.sh" ] || fail "no test $word" ;;
		esac
	done
done < <(grep '^tests/' "$WORK/lines")

# make's goals
while read -r line; do
	set -- $line
	shift
	for goal; do
		grep -q "^$goal:" "$TESTS/../Makefile" || fail "no goal $goal in the Makefile"
	done
done < <(commands make)
commands dkms >/dev/null || [ -e "$TESTS/../dkms.conf" ] || fail "no dkms.conf"

# modprobe: the modules are known under these names
commands modprobe | while read -r _ module; do
	case $module in
	nvtgt|nvtgt-tcp|nvtgt-bdev|nvtgt-null|nvtgt-vfu) ;;
	*) fail "no module $module" ;;
	esac
done

# the units that are started
commands systemctl | grep -o 'nvtgt[a-z-]*' | while read -r unit; do
	[ -e "$(find /lib/systemd/system /usr/lib/systemd/system -name "$unit.service" | head -n 1)" ] || fail "no unit $unit"
done

# a disk for one host, and one for a virtual machine
vm=$(null_blk_make size=64)
n=0
while read -r line; do
	line=${line//\/dev\/vg0\/data/$dev}
	line=${line//\/dev\/vg0\/vm1/$vm}
	line=${line//nqn.2014-08.org.nvmexpress:uuid:…/$HOST_NQN}
	line=${line//192.0.2.10/$TGT_IP}
	line=${line/#nvtgtctl save/nvtgtctl save $WORK\/config.json}
	out=$(nvtgtctl --netns tgt ${line#nvtgtctl }) || fail "$line"
	case $line in
	*'--trtype vfio-user'*)
		[[ $out == *vfio-user-pci*"/run/nvtgt-vfud/"* ]] || fail "$line printed: $out"
		defer modprobe -r nvtgt-vfu
		defer nvtgtctl clear
		;;
	*' export '*)
		[[ $out == "nvme connect "* ]] || fail "$line printed: $out"
		nqn=${out##* }
		defer host_disconnect "$nqn"
		$out >/dev/null || fail "$out"
		ctrl=$(ctrl_of "$nqn")
		wait_for 20 has_disk "$ctrl" || fail "no disk"
		;;
	esac
	n=$((n + 1))
done < <(commands nvtgtctl)
[ "$n" -ge 3 ] || fail "the README has only $n nvtgtctl lines"
jq -e '.subsystems[0].namespaces[0].device.path == "'"$dev"'"' "$WORK/config.json" >/dev/null ||
	fail "save: $(cat "$WORK/config.json")"
