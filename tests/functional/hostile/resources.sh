#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: 10 000 half-open connections, limits, unread data, data that never comes: other hosts are served
# kernels: 6.12
# timeout: 900

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_cases resources.py
