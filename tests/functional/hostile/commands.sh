#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: I/O commands with any field wrong get a status and touch nothing
# kernels: 6.12
# timeout: 900

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_cases commands.py
