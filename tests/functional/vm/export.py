#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The guest's end of a port: export.py PORT PATH DISK; what is written there is on the disk."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import nvme  # noqa: E402
from vfu import PAGE, Controller, Device, need, prp  # noqa: E402

port, path, disk = int(sys.argv[1]), sys.argv[2], sys.argv[3]
device = Device()
need((port, 0, path) in device.ports()[0], "ports %s", device.ports())
with Controller(device, port) as c:
    c.enable()
    q = c.create(1, 16)
    page, text = c.mem.pages(), os.urandom(PAGE)
    c.mem.write(page, text)
    q.good(nvme.WRITE, nsid=1, dptr=prp(page), **nvme.rw(0, PAGE // 512))
    q.good(nvme.FLUSH, nsid=1)
    with open(disk, "rb") as f:
        need(f.read(PAGE) == text, "the disk has something else")
    c.disable()
device.close()
