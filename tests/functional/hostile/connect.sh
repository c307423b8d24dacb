#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: Connect with every field wrong, commands out of order, properties, strangers, keep alive
# kernels: all
# nightly: 6.1 7.2
# timeout: 600

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_cases connect.py
