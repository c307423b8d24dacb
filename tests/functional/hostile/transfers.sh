#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: every legal way to move data: in the capsule, by R2Ts, any split, alignment, digests, SUCCESS flag
# kernels: all
# nightly: 6.1 7.2
# timeout: 900

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_cases transfers.py
