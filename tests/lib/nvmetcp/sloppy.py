# SPDX-License-Identifier: GPL-2.0
"""
A host that means well and takes the specification lightly, as clients in the field do: it has no name or an odd one,
draws a Host Identifier for each connection, asks for no keep alive, takes whatever queue size comes to its mind,
leaves rubbish in what is reserved, and comes again in whatever state it left. What it does harms nobody, so it is served.
"""

import os
import time

from . import ctrl, nvme
from .pdu import Violation

# as they come from SPDK's tools, from scripts, from LINSTOR, from libraries
NAMES = ("", "-", "host", "localhost.localdomain", "NQN.2014-08.ORG.NVMEXPRESS:UUID:0", "nqn.2014-08.org.nvmexpress:uuid:",
         "iqn.1993-08.org.debian:01:abcdef", "{\"host\": 1}", "/dev/null", "a b", "h\u00f6st", "x" * 223)


class Host(ctrl.Host):
    """Without a name, unless it is given one; another Host Identifier at each Connect."""

    def __init__(self, nqn=""):
        super().__init__()
        self.nqn = nqn

    @property
    def hostid(self):
        return os.urandom(16)

    @hostid.setter
    def hostid(self, value):
        pass


def write_read(queue, nsid=1, slba=0, data=None, blocks=1, inline=True, **fields):
    """What is written is read back."""
    data = os.urandom(blocks * 512) if data is None else data
    cmd = queue.run(nvme.WRITE, nsid=nsid, out=data, inline=inline, **{**nvme.rw(slba, blocks), **fields})
    if cmd.status:
        raise Violation("write: status %03xh" % cmd.status)
    cmd = queue.run(nvme.READ, nsid=nsid, read=len(data), **{**nvme.rw(slba, blocks), **fields})
    if cmd.status or cmd.data != data:
        raise Violation("read: status %03xh, %d bytes, equal %s" % (cmd.status, cmd.got, cmd.data == data))


def comes_again(env, host, nqn=None):
    """
    The same host connects, whatever has become of its old association, of which it may have to await the end
    (Connect: Controller Busy), and does I/O. Returns how often it was told to wait.
    """
    deadline = time.monotonic() + env.timeout
    waits = 0
    while True:
        try:
            with ctrl.Controller(env.address, env.port, nqn or env.nqn, host, timeout=env.timeout) as c:
                write_read(c.io_queue(), slba=8)
                return waits
        except ctrl.Refused as why:
            if why.status not in (nvme.CONN_BUSY, nvme.SEQUENCE) or time.monotonic() > deadline:
                raise
        waits += 1
        time.sleep(0.1)
