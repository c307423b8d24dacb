#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: ok
# timeout: 60

# the one before had a bad line in the log, this one has not
true
