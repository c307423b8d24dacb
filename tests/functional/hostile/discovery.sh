#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: the discovery log in any piece, beyond its end, while it changes
# kernels: 6.12
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_cases discovery.py
