#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Kernel-doc is complete and in its right form wherever it is written, and
# every member and function of include/nvtgt has it.
set -u
tool=
for tool in /usr/src/linux-headers-6.12*-common/scripts/kernel-doc; do :; done
[ -x "$tool" ] || { echo "no kernel-doc in /usr/src"; exit 1; }
mapfile -t files < <(find include/nvtgt drivers -name '*.[ch]' -not -path '*/generated/*' | sort)
"$tool" -none -Werror "${files[@]}" || exit 1
# what other modules may call has a comment
bad=0
while IFS=: read -r file line text; do
	name=$(sed -E 's/.*EXPORT_SYMBOL(_GPL|_NS_GPL|_NS)?\(([a-z0-9_]+).*/\2/' <<<"$text")
	grep -rqE "^ \* $name(\(\))? *[-:]" drivers include && continue
	echo "$file:$line: $name is exported without kernel-doc"
	bad=1
done < <(grep -rnE '^EXPORT_SYMBOL' drivers --include='*.c')
exit "$bad"
