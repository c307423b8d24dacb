#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every file says its licence in its first line (the second after #!).
set -u
bad=0
while IFS= read -r file; do
	case $file in
	./COPYING|*/README|*.md|*.json|*.jsonl|*.gitignore|*/data/*|./debian/*|./.git/*|./.tools/*) continue ;;
	esac
	[ -s "$file" ] || continue
	head -n 2 "$file" | grep -aq 'SPDX-License-Identifier: GPL-2.0' && continue
	echo "$file: no SPDX line at its top"
	bad=1
done < <(find . -type f -not -path './.git/*' | sort)
exit "$bad"
