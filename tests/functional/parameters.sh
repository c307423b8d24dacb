#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: Documentation/parameters.md says which parameters the modules have, and their defaults

. "$TESTS/lib/guest.sh"
target_is_nvtgt || skip "speaks of nvtgt's parameters"
need_modules tcp bdev null
modprobe nvtgt-rdma
modprobe nvtgt-loop
modprobe nvtgt-vfu
found=0
while IFS='|' read -r _ module name default _ when _; do
	module=${module//[[:space:]]/} name=${name//[\`[:space:]]/}
	default=$(xargs <<<"$default") when=$(xargs <<<"$when")
	file=/sys/module/${module//-/_}/parameters/$name
	[ -e "$file" ] || fail "$module has no parameter $name"
	found=$((found + 1))
	case $default in an*) ;; *)
		[ "$(cat "$file")" = "$default" ] || fail "$module $name is $(cat "$file") and not $default"
	esac
	mode=$(stat -c %a "$file")
	case $when:$mode in load:444|"any time":644) ;; *) fail "$module $name: $when, mode $mode" ;; esac
done < <(grep '^| nvtgt' "${TESTS%/tests}/Documentation/parameters.md")
there=(/sys/module/nvtgt*/parameters/*)
[ "$found" = ${#there[@]} ] || fail "$found of these are described: ${there[*]}"
note "$found parameters"
