#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Ctrl-C where a value is asked for: ctl_prompt.py NVTGTCTL ARG..."""
import os
import pty
import signal
import sys
import termios

ours, theirs = pty.openpty()
pid = os.fork()
if not pid:
    os.login_tty(theirs) if hasattr(os, "login_tty") else None
    if not hasattr(os, "login_tty"):
        import fcntl
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(theirs, fd)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])


def echoes():
    return bool(termios.tcgetattr(theirs)[3] & termios.ECHO)


seen = b""
while b": " not in seen or echoes():
    seen += os.read(ours, 4096) if b": " not in seen else b""
os.write(ours, b"half\x03")
_, status = os.waitpid(pid, 0)
if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGINT:
    sys.exit(f"it ended with {status:#x}")
if not echoes():
    sys.exit("the terminal does not show what is typed")
