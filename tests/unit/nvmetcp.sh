#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: the raw NVMe/TCP peer of the hostile tests finds each breach of the protocol (against a pretended target)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
PYTHONDONTWRITEBYTECODE=1 python3 "$here/../lib/nvmetcp/selftest.py"
