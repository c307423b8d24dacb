#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: clients that take the specification lightly are served: no name, changing identifiers, odd sizes and SGLs, reconnects
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
# the witness of hostile_cases sees to it that all this disturbs nobody else
export NVTGT_DEBUGFS=/sys/kernel/debug/nvtgt
hostile_cases ../sloppy.py
! target_is_nvtgt || log_has "queue 1 has another Host Identifier" || { log_since; fail "nothing was said of the other identifier"; }
