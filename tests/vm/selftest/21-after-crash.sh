#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: ok
# timeout: 60

true
