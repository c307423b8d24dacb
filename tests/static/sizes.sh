#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A source file of a thousand lines or more wants to be two.
bad=0
while read -r lines file; do
	if [ "$lines" -ge 1000 ] && [ "$file" != total ]; then
		echo "$file has $lines lines"
		bad=1
	fi
done < <(find drivers include tools tests -name '*.[ch]' -print0 2>/dev/null | xargs -0r wc -l)
exit "$bad"
