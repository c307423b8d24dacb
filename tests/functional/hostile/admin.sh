#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: every admin opcode, CNS, log page and feature gets its answer; events and Abort
# kernels: 6.12
# timeout: 900

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_cases admin.py
