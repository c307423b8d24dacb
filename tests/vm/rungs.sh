# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Which tests there are, and how each rung runs its own. A rung prints one
# line for each test: VERDICT <TAB> NAME <TAB> SECONDS <TAB> REASON.

# header_of FILE WORD DEFAULT: the line "# WORD: …" of a test's header
header_of() {
	local value
	value=$(sed -n "1,40s/^# $2: *//p" "$1" | head -n 1)
	echo "${value:-$3}"
}

# Every test there is: "RUNG NAME KERNELS TIMEOUT"
all_tests() {
	local f name k
	for f in "$BENCH_TESTS"/static/*.sh; do
		[ -e "$f" ] || continue
		echo "static $(basename "$f" .sh) - 0"
	done
	for f in "$BENCH_TESTS"/unit/test_*.c; do
		[ -e "$f" ] || continue
		name=$(basename "$f" .c)
		echo "unit ${name#test_} - 0"
	done
	for f in "$BENCH_TESTS"/unit/*.sh; do
		[ -e "$f" ] || continue
		echo "unit $(basename "$f" .sh) - 0"
	done
	echo "bench selftest 6.12 0"
	for k in "${BENCH_KERNELS[@]}"; do
		echo "build $k $k 0"
	done
	[ ! -e "$BENCH_TREE/tools/Makefile" ] || echo "build tools - 0"
	echo "perf bench - 0"
	while read -r f; do
		name=${f#"$BENCH_TESTS"/functional/}
		k=$(header_of "$f" kernels 6.12)
		[ "$k" != all ] || k="${BENCH_KERNELS[*]}"
		[ "$k" != debug ] || k=6.12-debug
		# the quick answer first
		case " $k " in *" 6.12 "*) k="6.12 ${k//6.12/}" ;; esac
		# shellcheck disable=SC2086
		[ "$k" = none ] || printf "functional ${name%.sh} %s $(header_of "$f" timeout 120)\n" $k
		# NAME on 6.12, or NAME@KERNEL
		for k in $(header_of "$f" variants ''); do
			case $k in *@*) ;; *) k=$k@6.12 ;; esac
			echo "functional ${name%.sh}+${k%@*} ${k#*@} $(header_of "$f" timeout 120)"
		done
	done < <(find "$BENCH_TESTS/functional" -name '*.sh' -perm -100 | sort)
}

# choose_tests: filter all_tests by $selections and $kernels
choose_tests() {
	local rung name k timeout s hit on named tests
	tests=$(all_tests)
	if [ ${#kernels[@]} = 0 ]; then
		# what asks for the debug kernel is not applicable without --debug
		tests=$(awk '$3 != "6.12-debug"' <<<"$tests")
	else
		# a functional test once for each kernel asked for
		tests=$(while read -r rung name k timeout; do
			case $rung in
			functional) for on in "${kernels[@]}"; do
					echo "$rung $name $on $timeout $k"
				done ;;
			*) echo "$rung $name $k $timeout $k" ;;
			esac
		done <<<"$tests" | awk '
			# remember for each test and kernel whether its header asks for it
			{ key = $1 " " $2 " " $3; if (!(key in seen)) { seen[key] = 1; order[++n] = key; t[key] = $4 }
			  own = $5; if (own == $3 || (own == "6.12" && $3 == "6.12-debug")) mine[key] = 1 }
			END { for (i = 1; i <= n; i++) print order[i], t[order[i]], ((order[i] in mine) ? "own" : "other") }')
	fi
	while read -r rung name k timeout on; do
		hit='' named=''
		[ ${#selections[@]} -gt 0 ] || hit=1
		for s in "${selections[@]}"; do
			s=${s#tests/}
			s=${s%.sh}
			# shellcheck disable=SC2053
			if [ "$s" = "$rung" ] || [[ $rung/$name == $s ]]; then hit=1; fi
			[ "$s" != "$rung/$name" ] || named=1
		done
		[ -n "$hit" ] || continue
		if [ ${#kernels[@]} -gt 0 ]; then
			case $rung in
			build|bench) case " ${kernels[*]} " in *" $k "*) ;; *) [ "$k" = - ] || continue ;; esac ;;
			functional) [ "$on" = own ] || [ -n "$named" ] || continue ;;
			esac
		fi
		echo "$rung $name $k $timeout"
	done <<<"$tests"
}

rung_of() { awk -v r="$1" '$1 == r' <<<"$chosen"; }

# The kernels that a chosen test needs iWARP on.
iwarp_kernels() { awk '$2 ~ /\+iwarp$/ { print $3 }' <<<"$chosen" | sort -Vu; }

# Everything that the chosen tests need before the first of them starts.
get_ready() {
	local k n=0 item
	mkdir -p "$NVTGT_CACHE"
	# the static rung compiles and reads headers, the unit rung includes them
	[ -z "$(rung_of static)" ] || needed_kernels+=" 6.12"
	[ -z "$(rung_of unit)" ] || needed_kernels+=" 7.2"
	# and one of its scripts builds for 6.12
	[[ $chosen != *"unit dkms "* ]] || needed_kernels+=" 6.12"
	needed_kernels=$(tr ' ' '\n' <<<"$needed_kernels" | grep . | sort -Vu)
	# count what is missing first, so that the progress lines tell the truth
	resolve
	root_vars
	host_packages
	[ ${#HOST_MISSING[@]} = 0 ] || n=1
	for k in $needed_kernels; do
		kernel_vars "$k"
		cache_valid "$K_DIR" || n=$((n + 1))
	done
	if [ -n "$(rung_of perf)" ]; then
		kernel_vars uml
		cache_valid "$K_DIR" || n=$((n + 1))
	fi
	for item in "$BUILD_ROOT" "$GUEST_ROOT"; do
		cache_valid "$item" || n=$((n + 1))
	done
	source_parts_vars 6.12
	[ -z "$fetch$(rung_of static)" ] || cache_valid "$PARTS" || n=$((n + 1))
	for k in $(iwarp_kernels); do
		siw_vars "$k"
		cache_valid "$SIW" || n=$((n + 1))
	done
	# tests/demo has two steps more
	plan $((n + ${MORE_STEPS:-0}))
	need_host_packages
	need_build_root || return 1
	for k in $needed_kernels; do
		need_kernel "$k" || return 1
	done
	if [ -n "$(rung_of perf)" ]; then
		need_kernel uml || return 1
		need_guest_root || return 1
	fi
	if [ -n "$shell$fetch$(rung_of functional)$(rung_of bench)" ]; then
		need_guest_root || return 1
		for k in $needed_kernels; do
			kernel_vars "$k"
			need_initrd || return 1
		done
	fi
	if [ -n "$fetch$(rung_of static)" ]; then
		need_source_parts 6.12 || return 1
	fi
	for k in $(iwarp_kernels); do
		need_siw "$k" || return 1
	done
	cache_prune
	snapshot_tree
}

# What the guests see is the tree as it was when the run began.
snapshot_tree() {
	local dir=$RUN_DIR/tree file
	mkdir -p "$dir"
	if git -C "$BENCH_TREE" rev-parse >/dev/null 2>&1; then
		# what git knows or would know: no products of a build in the tree
		git -C "$BENCH_TREE" ls-files -z -co --exclude-standard |
			while IFS= read -r -d '' file; do
				[ ! -e "$BENCH_TREE/$file" ] || printf '%s\0' "$file"
			done |
			rsync -a --no-owner --no-group --from0 --files-from=- "$BENCH_TREE/" "$dir/"
		return
	fi
	rsync -a --no-owner --no-group --exclude=/.git --exclude='*.o' --exclude='*.ko' \
		--exclude='.*.cmd' --exclude='*.d' --exclude=__pycache__ \
		--exclude=/drivers/compat/generated --exclude=/tools/nvtgtctl/nvtgtctl \
		"$BENCH_TREE/" "$dir/"
}

# one_result RUNG/NAME CMD...: run it, log it, print its line
one_result() {
	local name=$1 log rc started=$SECONDS last
	shift
	log=$RUN_DIR/${name//\//.}.log
	"$@" >"$log" 2>&1 </dev/null
	rc=$?
	last=$(grep -av '^[[:space:]]*$' "$log" | tail -n 1 | tr '\t\r' '  ' | cut -c1-200)
	case $rc in
	0) printf 'ok\t%s\t%s\t\n' "$name" $((SECONDS - started)) ;;
	77) printf 'skip\t%s\t%s\t%s\n' "$name" $((SECONDS - started)) "$last" ;;
	*) printf 'fail\t%s\t%s\t%s\n' "$name" $((SECONDS - started)) "exit $rc: $last ($log)" ;;
	esac
}

run_static() {
	local name
	source_parts_vars 6.12
	while read -r _ name _; do
		BENCH_BIND_KERNELS='6.12' one_result "static/$name" in_build_root \
			-b "$RUN_DIR/tree:/src" \
			-b "$PARTS:/usr/share/nvtgt-checkpatch" \
			bash -c 'cd /src && exec "$@"' bash \
			"tests/static/$name.sh"
	done
}

run_unit() {
	local name work=$RUN_DIR/unit
	mkdir -p "$work"
	while read -r _ name _; do
		if [ -e "$BENCH_TESTS/unit/test_$name.c" ]; then
			BENCH_BIND_KERNELS=7.2 one_result "unit/$name" in_build_root \
				-b "$RUN_DIR/tree:/src" -b "$work:/work" \
				/src/tests/unit/build-and-run "$name"
		else
			BENCH_BIND_KERNELS=$(header_of "$BENCH_TESTS/unit/$name.sh" kernels 7.2) \
				one_result "unit/$name" in_build_root \
				-b "$RUN_DIR/tree:/src" -b "$work:/work" \
				bash -c 'cd /src && exec "$@"' bash "tests/unit/$name.sh"
		fi
	done
}

run_build() {
	local name
	while read -r _ name _; do
		if [ "$name" = tools ]; then
			one_result build/tools with_lock build-tools build_tools
		else
			one_result "build/$name" with_lock "build-$name" build_modules "$name"
		fi
	done
}

# The bench itself: each script below vm/selftest says which verdict it must
# get, so that a bench that calls everything good is found out.
run_bench() {
	[ -n "$(cat)" ] || return 0
	one_result bench/selftest bench_selftest
}

bench_selftest() {
	local dir=$RUN_DIR/selftest f name want got bad=0
	local target=nvmet jobs=1 repeat=1 debug='' needed_kernels=6.12
	local PLAN_TREE=$RUN_DIR/tree PLAN_MODULES=$RUN_DIR
	kernel_vars 6.12
	mkdir -p "$dir"
	with_lock build-6.12 stage_modules "$(build_dir 6.12)" || return 1
	stage_for_run || return 1
	for f in "$BENCH_TESTS"/vm/selftest/*.sh; do
		echo "vm selftest/$(basename "$f" .sh) 6.12 $(header_of "$f" timeout 60)"
	done | (RUN_DIR=$dir; make_plan) >"$dir/plan.json" || return 1
	python3 "$BENCH_TESTS/vm/guests.py" "$dir/plan.json" >"$dir/verdicts" || return 1
	for f in "$BENCH_TESTS"/vm/selftest/*.sh; do
		name=$(basename "$f" .sh)
		want=$(header_of "$f" expect ok)
		got=$(awk -F'\t' -v n="vm/selftest/${name}[6.12]" '$2 == n { print $1 " " $4 }' "$dir/verdicts")
		case $got in
		"$want"*) echo "ok $name" ;;
		*) echo "not ok $name: '$got' instead of '$want'"; bad=1 ;;
		esac
	done
	[ "$bad" = 0 ] || echo "the bench does not see what it should ($dir)"
	return "$bad"
}

# `make bench` runs through and reports on every row; how fast is no test's matter.
run_perf() {
	[ -n "$(cat)" ] || return 0
	one_result perf/bench perf_once
}

perf_once() {
	"$BENCH_TESTS/perf/bench" --quick --reps 1 --out "$RUN_DIR/perf" || return 1
	python3 -c '
import json, sys, xml.dom.minidom
rows = json.load(open(sys.argv[1] + "/report.json"))["rows"]
bad = [n for n, r in rows.items() if not r["ratio"]["nvtgt"]["median"] > 0]
xml.dom.minidom.parse(sys.argv[1] + "/report.svg")
sys.exit("rows: %s, without a ratio: %s" % (list(rows), bad) if len(rows) != 6 or bad else 0)
' "$RUN_DIR/perf"
}

# The functional rung needs modules of the kernels that it runs on: those
# that the build rung has not built are built here, without a result line.
build_for_guests() {
	local k bad=0
	if [ "$target" = nvmet ]; then
		# the kernel's own target needs no build of ours
		for k in $needed_kernels; do
			kernel_vars "$k"
			with_lock "build-$k" stage_modules "$(build_dir "$k")" || return 1
		done
		return 0
	fi
	for k in $(rung_of functional | awk '{ print $3 }' | sort -Vu); do
		[ -n "$(rung_of build | awk -v k="$k" '$2 == k')" ] ||
			with_lock "build-$k" build_modules "$k" >"$RUN_DIR/build.$k.log" 2>&1 || {
				tail -n 30 "$RUN_DIR/build.$k.log" >&2
				echo "$k" >>"$RUN_DIR/no-build"
				bad=1
			}
	done
	if [ -e "$BENCH_TREE/tools/Makefile" ] && [ -z "$(rung_of build | awk '$2 == "tools"')" ]; then
		with_lock build-tools build_tools >"$RUN_DIR/build.tools.log" 2>&1 || {
			tail -n 30 "$RUN_DIR/build.tools.log" >&2
			say "# tools/ did not build: tests that use nvtgtctl will fail"
		}
	fi
	return "$bad"
}

# A copy of the modules of its own for this run: hard links, so it is quick.
stage_for_run() {
	local k dir
	for k in $needed_kernels; do
		dir=$(build_dir "$k")
		[ -d "$dir/stage/lib/modules" ] || continue
		rm -rf "$RUN_DIR/modules-$k"
		with_lock "build-$k" cp -al "$dir/stage/lib/modules" "$RUN_DIR/modules-$k" || return 1
	done
	dir=$(build_dir tools)
	rm -rf "$RUN_DIR/tree/.tools"
	if [ -d "$dir/stage/usr" ]; then
		cp -a "$dir/stage" "$RUN_DIR/tree/.tools"
	fi
	return 0
}

# make_plan < tests: the plan of the guests, as guests.py reads it
make_plan() {
	local accel memory=2048 k rung name timeout
	kernel_vars "${needed_kernels%%[[:space:]]*}"
	initrd_vars
	accel=$(guest_accel)
	[ -z "$debug" ] || memory=4096
	if [ -z "$patience" ]; then
		patience=1
		[ -z "$debug" ] || patience=4
	fi
	{
		for k in $needed_kernels; do
			kernel_vars "$k"
			initrd_vars
			printf 'kernel\t%s\t%s\t%s\t%s\n' "$k" "$K_DIR/vmlinuz" \
				"$INITRD/initrd" "${PLAN_MODULES:-$RUN_DIR}/modules-$k"
		done
		while read -r rung name k timeout; do
			echo "$rung $name $k $timeout $(header_of "$BENCH_TESTS/$rung/${name%+*}.sh" cpus 2)"
		done
	} | python3 -c '
import json, sys
(results, tree, image, accel, memory, jobs, target, patience, append, shell,
 repeat) = sys.argv[1:]
plan = {"results": results, "tree": tree, "image": image, "accel": accel,
        "memory": int(memory), "jobs": int(jobs), "target": target,
        "patience": float(patience), "append": append, "shell": shell,
        "kernels": {}, "tests": []}
# what a variant changes: CPUs, words on the command line of the kernel
variants = {"": (0, ""), "no-spin": (0, "nvtgt.spin_us=0"), "one-reactor": (1, ""),
            "rdma": (0, "bench.transport=rdma"), "rdma-no-srq": (0, "bench.transport=rdma nvtgt_rdma.use_srq=0"),
            "rdma-mr": (0, "bench.transport=rdma nvtgt_rdma.force_mr=1 ib_core.force_mr=1"),
            "many-readers": (0, "bench.many-readers"),
            "iwarp": (0, "bench.transport=rdma bench.rdma=siw")}
tests = []
for line in sys.stdin:
    if line.startswith("kernel\t"):
        _, name, vmlinuz, initrd, modules = line.rstrip("\n").split("\t")
        plan["kernels"][name] = {"vmlinuz": vmlinuz, "initrd": initrd,
                                 "modules": modules}
    elif line.strip():
        rung, name, kernel, timeout, cpus = line.split()
        smp, words = variants[name.partition("+")[2]]
        tests.append({"name": rung + "/" + name, "kernel": kernel, "append": words,
                      "timeout": int(timeout), "cpus": smp or int(cpus)})
for n in range(int(repeat)):
    for test in tests:
        again = dict(test)
        again["index"] = "%s.%s%s" % (test["name"].replace("/", "."),
                                      test["kernel"], "" if n == 0 else ".%d" % (n + 1))
        plan["tests"].append(again)
json.dump(plan, sys.stdout, indent=1)
' "$RUN_DIR" "${PLAN_TREE:-$RUN_DIR/tree}" "$GUEST_ROOT/guest.img" "$accel" "$memory" \
	"$jobs" "$target" "$patience" "$append" "${shell:+${kernels[0]-}}" "$repeat"
}

run_functional() {
	local tests k name timeout
	tests=$(cat)
	[ -n "$tests" ] || return 0
	build_for_guests
	# a kernel whose modules do not build has failed all of its tests
	while read -r k; do
		awk -v k="$k" '$3 == k' <<<"$tests" |
			while read -r _ name kernel timeout; do
				printf 'fail\tfunctional/%s[%s]\t0\t%s\n' "$name" "$kernel" \
					"build of $k failed"
			done
		tests=$(awk -v k="$k" '$3 != k' <<<"$tests")
	done < <(sort -u "$RUN_DIR/no-build" 2>/dev/null)
	[ -n "$tests" ] || return 0
	stage_for_run || return 1
	make_plan <<<"$tests" >"$RUN_DIR/plan.json" || return 1
	python3 "$BENCH_TESTS/vm/guests.py" "$RUN_DIR/plan.json"
}

run_shell() {
	chosen="functional x ${kernels[0]} 0"
	build_for_guests || return 1
	stage_for_run || return 1
	make_plan </dev/null >"$RUN_DIR/plan.json" || return 1
	python3 "$BENCH_TESTS/vm/guests.py" "$RUN_DIR/plan.json"
}

run_rungs() {
	local results=$RUN_DIR/results.tsv part
	: >"$results"
	{
		rung_of static | run_static &
		rung_of unit | run_unit
		wait
		# one guest beside the compilers
		rung_of bench | run_bench &
		rung_of build | run_build
		wait
		rung_of perf | run_perf
	} | tee -a "$results"
	grep $'^fail\tbuild/' "$results" | sed -E 's/^fail\tbuild\/([^\t]*)\t.*/\1/' >>"$RUN_DIR/no-build"
	rung_of functional | run_functional | tee -a "$results"
}

# number_results: verdict lines become TAP; the count is the exit code
number_results() {
	local verdict name seconds reason n=0 passed=0 failed=0 skipped=0
	local total
	total=$(awk -v r="$repeat" '{ n += $1 == "functional" ? r : 1 } END { print n + 0 }' <<<"$chosen")
	echo "TAP version 13"
	echo "1..$total"
	while IFS=$'\t' read -r verdict name seconds reason; do
		n=$((n + 1))
		case $verdict in
		ok) passed=$((passed + 1)); echo "ok $n - $name # time=${seconds}s" ;;
		skip) skipped=$((skipped + 1)); echo "ok $n - $name # SKIP $reason" ;;
		*) failed=$((failed + 1)); echo "not ok $n - $name # $reason" ;;
		esac
	done
	# a test that should have run and did not is a failure, whatever stopped it
	while [ "$n" -lt "$total" ]; do
		n=$((n + 1)) failed=$((failed + 1))
		echo "not ok $n - (no result)"
	done
	[ "$failed" = 0 ] || touch "$RUN_DIR/failed"
	say "# $(($(date +%s) - started)) seconds; logs: $RUN_DIR"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
}

# Keep the results of the last runs only.
prune_results() {
	local dir=${NVTGT_RESULTS:-$NVTGT_CACHE/results}
	# shellcheck disable=SC2012
	ls -1dt "$dir"/2*/ 2>/dev/null | tail -n +"$((keep ? 1000 : 101))" | xargs -r rm -rf
}
