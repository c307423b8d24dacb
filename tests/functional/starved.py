#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A reactor without a CPU."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from nvmetcp import cases  # noqa: E402
from nvmetcp.cases import status  # noqa: E402

KEEP_ALIVE = 0x18
KATO_MS = 2000
HOG = "import time; end = time.monotonic() + %f\nwhile time.monotonic() < end: pass" % (3 * KATO_MS / 1000)


def a_host_that_speaks_is_heard(env):
    """A real-time process takes the reactor's CPU; keep alive commands wait in the socket meanwhile."""
    with env.controller(kato=KATO_MS) as c:
        # it ends by itself: who was to end it might wait for that CPU
        hog = subprocess.Popen(["taskset", "-c", "1", "chrt", "-f", "50", sys.executable, "-c", HOG])
        try:
            sent = []
            while hog.poll() is None:
                if len(sent) < 24:
                    sent.append(c.admin.submit(KEEP_ALIVE))
                time.sleep(KATO_MS / 1000 / 6)
        finally:
            hog.kill()
            hog.wait()
        for cmd in sent:
            status(c.admin.wait(cmd), 0)


if __name__ == "__main__":
    sys.exit(cases.main([a_host_that_speaks_is_heard]))
