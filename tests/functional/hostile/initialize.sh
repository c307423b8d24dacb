#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: ICReq right, wrong, twice, late, slow or missing; PDU types that have no place; a stock host goes on
# kernels: all
# nightly: 6.1 7.2
# timeout: 600

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_cases initialize.py
