#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: fail the kernel log says: WARNING: 
# timeout: 60

# a line of the kernel log that says something is wrong fails the test
echo "WARNING: CPU: 0 PID: 1 at drivers/nowhere.c:1" >/dev/kmsg
