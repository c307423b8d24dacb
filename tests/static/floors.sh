#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The folders of drivers/core are floors: a file includes nothing of a floor above its own,
# and nothing outside of drivers/core includes anything of it.
set -u
shopt -s extglob
bad=0
seen=0

# floor_of PATH: sets floor to the height of its folder; main.c stands above all
floor_of() {
	case $1 in
	drivers/core/engine/*) floor=1 ;;
	drivers/core/object/*) floor=2 ;;
	drivers/core/command/*) floor=3 ;;
	drivers/core/config/*) floor=4 ;;
	drivers/core/main.c) floor=5 ;;
	drivers/core/*) floor='' ;;	# none of the five
	*) floor=0 ;;
	esac
}

# resolve FILE NAME: sets target to the file of this tree that FILE gets when it includes
# NAME, or to nothing when that is one of the kernel's
resolve() {
	local dir
	target=
	for dir in "${1%/*}" . include drivers/core drivers/core/engine drivers/core/object \
		drivers/core/command drivers/core/config; do
		[ -e "$dir/$2" ] || continue
		target=$(realpath -m --relative-to=. "$dir/$2")
		return
	done
}

while IFS=: read -r file line text; do
	[[ $text =~ include[[:space:]]*([\"\<])([^\"\>]+) ]] || continue
	kind=${BASH_REMATCH[1]} name=${BASH_REMATCH[2]}
	# the kernel's and include/nvtgt, unless a path leads out of there
	[ "$kind" = '"' ] || [[ $name == *..* || $name == *core/* ]] || continue
	resolve "$file" "$name"
	case $target in drivers/core/*) ;; *) continue ;; esac
	seen=$((seen + 1))
	floor_of "$file"
	from=$floor
	floor_of "$target"
	if [ "$from" = 0 ]; then
		echo "$file:$line: includes $target, which is the core's own"
		bad=1
	elif [ -n "$from" ] && [ -n "$floor" ] && [ "$floor" -gt "$from" ]; then
		echo "$file:$line: includes $target, of a floor above its own"
		bad=1
	fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include' --include='*.[ch]' drivers include)

for file in drivers/core/*.[ch] drivers/core/!(engine|object|command|config)/*.[ch]; do
	[ -e "$file" ] || continue
	[ "$file" = drivers/core/main.c ] || { echo "$file: stands on none of the floors"; bad=1; }
done
[ "$seen" -ge 20 ] || { echo "only $seen includes of the core's headers found"; bad=1; }
exit "$bad"
