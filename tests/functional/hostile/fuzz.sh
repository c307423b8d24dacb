#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: tampered conversations (tests/fuzz/pdufuzz.py) end cleanly; a stock host goes on meanwhile
# kernels: 6.12
# timeout: 900

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_target
log_mark
witness_starts
python3 "$TESTS/fuzz/pdufuzz.py" --seed "${FUZZ_SEED:-20261120}" --iterations "${FUZZ_ITERATIONS:-400}" --seconds "${FUZZ_SECONDS:-300}" ||
	fail "the fuzzer found something"
witness_goes_on
