#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: fail the guest died
# timeout: 60

# an oops ends the guest; the tests that follow get a new one
echo c >/proc/sysrq-trigger
