#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every Python file compiles.
bad=0
while IFS= read -r file; do
	python3 -W error -c 'import ast, pathlib, sys; ast.parse(pathlib.Path(sys.argv[1]).read_text(), sys.argv[1])' "$file" || bad=1
done < <(find . -name '*.py' -not -path './.git/*')
exit "$bad"
