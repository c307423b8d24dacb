#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: no bytes of a client's, and no guest's writes to configuration space, make nvtgt-vfud read or
# write where it must not, or ask of the kernel what it must not
#
# The fuzzers of tests/fuzz, for so many inputs: with gcc from the seeds alone, and with libFuzzer.
set -eu
work=${WORK:-/work}/fuzz

mkdir -p "$work/gcc" "$work/clang"
make -s -C "$(dirname "$0")/../fuzz" check O="$work/gcc" RUNS=10000
clang=$(compgen -c clang | grep -xE 'clang(-[0-9]+)?' | sort -V | tail -n 1)
[ -n "$clang" ] || { echo "no clang in the build root"; exit 1; }
make -s -C "$(dirname "$0")/../fuzz" check CC="$clang" O="$work/clang" RUNS=10000
