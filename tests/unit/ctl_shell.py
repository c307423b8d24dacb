#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Types into nvtgtctl's shell on a terminal: ctl_shell.py NVTGTCTL LOCK NQN."""
import os
import pty
import select
import sys
import time

ctl, lock, nqn = sys.argv[1:]
pid, fd = pty.fork()
if not pid:
    os.environ.update(TERM="vt100", COLUMNS="200", LINES="50")
    os.execv(ctl, [ctl, "--lock", lock, "shell"])
seen = b""


def expect(text, what):
    """Read until the terminal shows @text, and forget what came before."""
    global seen
    end = time.monotonic() + 60
    while text not in seen:
        if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
            sys.exit(f"{what}: no {text!r} in {seen!r}")
        try:
            more = os.read(fd, 4096)
        except OSError:
            more = b""
        if not more:
            sys.exit(f"{what}: the shell ended: {seen!r}")
        seen += more
    seen = seen[seen.index(text) + len(text):]


def type_in(keys):
    os.write(fd, keys.encode())


expect(b"/> ", "the first prompt")
type_in("subs\t")
expect(b"ystem ", "an object is completed")
type_in("cre\t")
expect(b"ate ", "a verb is completed")
type_in(nqn + " model=one\r")
expect(b"/> ", "create")
type_in("cd subsy\t")
expect(b"stems/", "a place is completed")
type_in("\t")
expect(b"/", "and the only one in it")
type_in("\r")
expect(b"/subsystems/" + nqn.encode() + b"> ", "the prompt says where")
type_in("pwd\r")
expect(b"/subsystems/" + nqn.encode() + b"\r\n", "pwd")
expect(b"> ", "pwd")
type_in("set attr_mod\t")
expect(b"el=", "an attribute is completed")
type_in("two\r")
expect(b"> ", "set")
type_in("set attr_model=three\r")
expect(b"> ", "set")
# the line before the last one again: two, then changed at its end
type_in("\x1b[A\x1b[A")
# the terminal is told only what differs from "three"
expect(b"wo", "history")
type_in("\x08\x08\x08four\r")
expect(b"> ", "history")
type_in("namespace \t\t")
expect(b"disable", "the possible verbs are listed")
type_in("\x15help subsystem create\r")
expect(b"usage: nvtgtctl subsystem create", "help OBJECT VERB")
expect(b"> ", "help")
type_in("set dhchap_key=@-\r")
expect(b"dhchap_key: ", "a value is asked for")
type_in("hidden words\r")
expect(b"has no attribute", "the value is taken")
if b"hidden" in seen:
    sys.exit("a value that is asked for is shown")
expect(b"> ", "back")
type_in("exit\r")
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
