#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The kernel's own style checker, on every C file that is built for a kernel.
set -u
tool=/usr/share/nvtgt-checkpatch/scripts/checkpatch.pl
[ -e "$tool" ] || { echo "no checkpatch.pl"; exit 1; }
mapfile -t files < <(find drivers include tests/perf tests/lib/sigmr -name '*.[ch]' -not -path 'drivers/compat/*' | sort)
[ ${#files[@]} -gt 0 ] || { echo "no files"; exit 1; }
# not a patch to the kernel tree: no MAINTAINERS, and names in camel case are the
# specification's. Macros of attribute tables need no do-while.
exec perl "$tool" --no-tree --no-summary --terse --strict --max-line-length=100 --file \
	--ignore FILE_PATH_CHANGES,CAMELCASE,MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE,SPDX_LICENSE_TAG,COMPLEX_MACRO,OPEN_ENDED_LINE,ALLOC_ARRAY_ARGS,PREFER_KERNEL_TYPES,CONFIG_DESCRIPTION,LONG_LINE_COMMENT,UNNECESSARY_PARENTHESES \
	"${files[@]}"
