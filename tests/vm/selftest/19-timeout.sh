#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: fail timed out after
# timeout: 5

sleep 1000
