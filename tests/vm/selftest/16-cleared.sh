#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: ok
# timeout: 60

# what the one before left behind is gone, and so are the modules
[ ! -d "/sys/kernel/config/$TARGET_ROOT" ]
