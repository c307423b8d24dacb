#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: fail modules still loaded: nvmet
# timeout: 60

# a module that uses the target's keeps it from being unloaded
modprobe nvme-loop
