# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# One guest for somebody who looks at it: tests/run --shell, and tests/demo.

# run_dir: a name for the folder of a run
run_dir() { echo "${NVTGT_RESULTS:-$NVTGT_CACHE/results}/$(date +%Y%m%d-%H%M%S)-$$"; }

# one_guest DIR KERNEL [WORD for guests.py]...: boot it with what the tree's modules and tools are now;
# DIR is the run's folder
one_guest() {
	local dir=$1 kernel=$2 n steps
	shift 2
	mkdir -p "$dir" "$NVTGT_CACHE/log"
	# shellcheck disable=SC2064
	trap "rm -rf '$dir/tree' '$dir'/modules-*" EXIT
	"$BENCH_TESTS/vm/ready" -k "$kernel" --guests --more-steps 2 \
		--snapshot "$dir/tree" --out "$dir/places" || return 1
	read -r _ n steps < <(grep '^steps ' "$dir/places")
	plan "$steps"
	BENCH_STEP=$n
	step "building the modules and the tools …"
	"$BENCH_TESTS/vm/build" -k "$kernel" --tools --from "$dir/tree" --stage "$dir" >"$dir/build.log" 2>&1 || {
		tail -n 40 "$dir/build.log" >&2
		return 1
	}
	mv "$dir/tools" "$dir/tree/.tools" || return 1
	step "booting a guest with Debian's kernel and nvtgt's modules …"
	/usr/bin/python3 "$BENCH_TESTS/vm/guests.py" --plan "$dir/places" --run "$dir" --kernel "$kernel" "$@"
}
