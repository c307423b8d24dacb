#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A functional test that nobody runs is none: each script can be executed, and its header says
# nothing but what the bench knows.

status=0
wrong() { echo "$1: $2"; status=1; }

known_variants=" $(sed -n '/^variants = {/,/}/p' tests/vm/rungs.sh | grep -o '"[a-z-]*": (' | tr -d '":(' | tr '\n' ' ') "
[ "$known_variants" != "  " ] || wrong tests/vm/rungs.sh "no variants found"
known_kernels=" all 6.1 6.12 7.2 none debug "

# words FILE KEY KNOWN WORD...: each of them is known
words() {
	local file=$1 key=$2 known=$3 word
	shift 3
	[ $# -gt 0 ] || wrong "$file" "$key: nothing"
	for word in "$@"; do
		# a variant may be meant for another kernel than 6.12: VARIANT@KERNEL
		[[ $key = variants && ( $word == *@6.1 || $word == *@7.2 ) ]] && word=${word%@*}
		[[ $known == *" $word "* ]] || wrong "$file" "$key: $word is unknown; known are:$known"
	done
}

check() {
	local file=$1 line key value values guards=
	[ -x "$file" ] || wrong "$file" "cannot be executed, so it is not run: chmod +x"
	while read -r line; do
		case $line in '#'*) ;; *) break ;; esac
		[[ $line =~ ^#\ ([a-z-]+):\ *(.*)$ ]] || continue
		key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
		read -ra values <<<"$value"
		case $key in
		guards) guards=$value ;;
		kernels) words "$file" "$key" "$known_kernels" "${values[@]}" ;;
		variants) words "$file" "$key" "$known_variants" "${values[@]}" ;;
		timeout|cpus) [[ $value =~ ^[1-9][0-9]*$ ]] || wrong "$file" "$key: $value is no number" ;;
		*) wrong "$file" "the header's word \"$key\" is unknown" ;;
		esac
	done < <(tail -n +2 "$file")
	[ -n "$guards" ] || wrong "$file" "no line \"# guards:\" says what breaks when it fails"
}

while read -r file; do check "$file"; done < <(find tests/functional -name '*.sh' | sort)
exit $status
