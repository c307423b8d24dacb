#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Reset, shutdown and a new association wait for what the old one has in a device; what has not begun never does."""

import contextlib
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../lib"))
from nvmetcp import cases, ctrl, nvme  # noqa: E402
from nvmetcp.cases import need, same, status, until, write_attr  # noqa: E402

RDY, CFS, SHST, SHST_BUSY, SHST_DONE = 1, 2, 0xC, 0x4, 0x8
SHUTDOWN = 1 << 14
# as long as a target that does not wait would be wrong for
A_WHILE = 0.5
DM, RAW, FILE, LOOP, NULL = 4, 5, 6, 7, 2
WORKERS = 32
OLD, NEW = b"\x0d" * 4096, b"\x11" * 4096


def run(*cmd):
    subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def holding(hold, let_go):
    """The device keeps what it is given. Yields what lets go of it, which happens in any case."""
    held = [True]

    def release():
        if held:
            held.clear()
            let_go()
    hold()
    try:
        yield release
    finally:
        release()


def dm_holds(_env):
    return holding(lambda: run("dmsetup", "suspend", "--noflush", "--nolockfs", "hold"),
                   lambda: run("dmsetup", "resume", "--noudevsync", "hold"))


def file_holds(env):
    return holding(lambda: run("fsfreeze", "-f", env.get("NVTGT_FS")), lambda: run("fsfreeze", "-u", env.get("NVTGT_FS")))


def null_holds(env):
    options = env.get("NVTGT_NULL_OPTIONS")
    return holding(lambda: write_attr(options, "size=1t,lba=4096,stall=1"),
                   lambda: write_attr(options, "size=1t,lba=4096"))


HOLDERS = (("bdev device", DM, dm_holds), ("bdev file", FILE, file_holds), ("null", NULL, null_holds))


def written(c, nsid):
    """Write commands that the namespace has been given."""
    return int.from_bytes(c.log_data(2, 512, nsid=nsid)[80:88], "little")


def write(q, nsid, data, slba=0):
    return q.submit(nvme.WRITE, nsid=nsid, out=data, inline=True, **nvme.rw(slba, len(data) // 4096))


def held_writes(env, c, q, nsid, count=1, data=OLD):
    """Writes of each second block, which cannot be merged, that have reached the backend."""
    before = written(c, nsid)
    cmds = [write(q, nsid, data, 2 * i) for i in range(count)]
    until(env.timeout, lambda: written(c, nsid) >= before + count, "%d writes in namespace %d" % (count, nsid))
    return cmds


def csts(peer):
    return ctrl.prop_value(peer, nvme.CSTS)


def stays(env, peer, mask, want):
    """CSTS does not change for a while."""
    end = time.monotonic() + A_WHILE * env.slow
    while time.monotonic() < end:
        same(csts(peer) & mask, want, "CSTS")
        time.sleep(0.02)


def comes(env, peer, mask, want):
    until(env.timeout, lambda: csts(peer) & mask == want, "CSTS %x of %x" % (want, mask))


def reset_waits(env):
    """CC.EN = 0: RDY stays up until the device has answered; then the controller works again."""
    for name, nsid, holds in HOLDERS:
        with env.row(name), env.controller() as c, holds(env) as let_go:
            q = c.io_queue()
            held_writes(env, c, q, nsid, 3)
            status(ctrl.prop_set(c.admin, nvme.CC, 0), 0)
            q.take_end()
            q.close()
            stays(env, c.admin, RDY | CFS, RDY)
            status(c.identify(1), nvme.SEQUENCE)
            cmd = ctrl.connect(c.peer(), c.host, env.nqn, qid=2, cntlid=c.cntlid)
            status(cmd, nvme.SEQUENCE)
            need(not cmd.cqe.dnr, "an I/O queue has to wait, and gets DNR")
            let_go()
            comes(env, c.admin, RDY | CFS, 0)
            ctrl.enable(c.admin)
            status(c.io_queue(3).run(nvme.READ, nsid=nsid, read=4096, **nvme.rw(0, 1)), 0)


def shutdown_waits(env):
    """CC.SHN: SHST says "occurring" until the device has answered."""
    for name, nsid, holds in HOLDERS:
        with env.row(name), env.controller() as c, holds(env) as let_go:
            held_writes(env, c, c.io_queue(), nsid)
            status(ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE | SHUTDOWN), 0)
            stays(env, c.admin, SHST | RDY, SHST_BUSY | RDY)
            let_go()
            comes(env, c.admin, SHST, SHST_DONE)
    with env.row("both"), env.controller() as c, dm_holds(env) as let_go:
        held_writes(env, c, c.io_queue(), DM)
        status(ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE | SHUTDOWN), 0)
        status(ctrl.prop_set(c.admin, nvme.CC, SHUTDOWN), 0)
        stays(env, c.admin, RDY, RDY)
        let_go()
        comes(env, c.admin, RDY | SHST, SHST_DONE)
    with env.row("reset and shutdown at once"), env.controller() as c, dm_holds(env) as let_go:
        held_writes(env, c, c.io_queue(), DM)
        status(ctrl.prop_set(c.admin, nvme.CC, SHUTDOWN), 0)
        stays(env, c.admin, RDY | SHST, RDY | SHST_BUSY)
        let_go()
        comes(env, c.admin, RDY | SHST, SHST_DONE)


def idle_is_quick(env):
    """With nothing in a device, reset and shutdown take no time."""
    with env.controller() as c:
        for i in (1, 2, 3):
            status(c.io_queue(i).run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)
        start = time.monotonic()
        ctrl.prop_set(c.admin, nvme.CC, 0)
        comes(env, c.admin, RDY, 0)
        ctrl.enable(c.admin)
        ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE | SHUTDOWN)
        comes(env, c.admin, SHST, SHST_DONE)
        took = time.monotonic() - start
        need(took < 0.8 * env.slow, "it took %.1f s", took)


def limit(env):
    """A device that does not answer: CSTS.CFS after drain_timeout_ms, and a line that names it."""
    param = "/sys/module/nvtgt/parameters/drain_timeout_ms"
    with open(param, encoding="ascii") as f:
        before = f.read().strip()
    for name, cc, shst in (("reset", 0, 0), ("shutdown", ctrl.CC_ENABLE | SHUTDOWN, SHST_BUSY)):
        mark = "barrier %s %d" % (name, time.monotonic_ns())
        with env.row(name), env.controller() as c, dm_holds(env) as let_go:
            held_writes(env, c, c.io_queue(), DM, 2)
            write_attr(param, "300")
            write_attr("/dev/kmsg", mark)
            try:
                status(ctrl.prop_set(c.admin, nvme.CC, cc), 0)
                comes(env, c.admin, RDY | CFS | SHST, RDY | CFS | shst)
            finally:
                write_attr(param, before)
            log = subprocess.run(["dmesg", "--notime"], check=True, capture_output=True, text=True).stdout
            lines = [x for x in log.split(mark)[1].splitlines() if "no answer to 2 commands, 2 of them writes" in x]
            need(len(lines) == 1 and "namespace %d (/dev/mapper/hold)" % DM in lines[0], "the log says %s", lines)
            let_go()
            comes(env, c.admin, RDY | CFS | SHST, 0 if not cc else RDY | SHST_DONE)


def enable_too_early(env):
    """CC.EN set again before RDY is 0: RDY is 0, and 1 when the device has answered; resets count on."""
    with env.controller() as c, dm_holds(env) as let_go:
        held_writes(env, c, c.io_queue(), DM)
        ctrl.prop_set(c.admin, nvme.CC, 0)
        ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE)
        stays(env, c.admin, RDY, 0)
        ctrl.prop_set(c.admin, nvme.CC, 0)
        stays(env, c.admin, RDY, RDY)
        ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE)
        let_go()
        comes(env, c.admin, RDY, RDY)
        status(c.io_queue(2).run(nvme.READ, nsid=DM, read=4096, **nvme.rw(0, 1)), 0)


def end(c, how):
    for peer in c.peers:
        getattr(peer, how)()


def attempt(env, host, bind=None):
    """A Connect on a connection of its own."""
    p = env.peer(bind=bind)
    start = time.monotonic()
    cmd = ctrl.connect(p, host, env.nqn)
    p.close()
    return cmd, time.monotonic() - start


def admitted(env, host):
    return lambda: attempt(env, host)[0].status == 0


def connect_waits(env):
    """After a cut a host gets no new controller while its old writes are in a device; others do."""
    for name, nsid, holds in HOLDERS:
        for how in ("close", "reset"):
            with env.row("%s, %s", name, how), env.controller() as c, holds(env) as let_go:
                held_writes(env, c, c.io_queue(), nsid)
                end(c, how)
                cmd, took = attempt(env, c.host)
                status(cmd, nvme.CONN_BUSY)
                need(not cmd.cqe.dnr, "busy for good")
                need(0.8 < took < 6 * env.slow, "it was told so after %.1f s", took)
                status(attempt(env, ctrl.Host())[0], 0)
                status(attempt(env, ctrl.Host(None, c.host.hostid))[0], 0)
                # a host that draws identifiers, and a machine that was cloned with its name
                status(attempt(env, ctrl.Host(c.host.nqn))[0], nvme.CONN_BUSY)
                status(attempt(env, ctrl.Host(c.host.nqn), env.get("NVTGT_ADDR2"))[0], 0)
                let_go()
                until(env.timeout, admitted(env, c.host), "the host is let in")
    with env.row("lets in at once when the device answers"), env.controller() as c, dm_holds(env) as let_go:
        held_writes(env, c, c.io_queue(), DM)
        end(c, "close")
        p = env.peer()
        data = nvme.connect_data(c.host.hostid, 0xFFFF, env.nqn, c.host.nqn)
        cmd = p.submit(nvme.OP_FABRICS, out=data, inline=True, nsid=nvme.FC_CONNECT, cdw11=31)
        need(p.quiet(0.1), "the Connect was answered at once")
        let_go()
        status(p.wait(cmd), 0)
        p.close()


def namespace_taken_away(env):
    """
    A device does not answer: the log says who waits for what, and when its namespace is disabled the host gets
    in. The namespace is there again when the device has answered, and the switch that waited for it is over.
    """
    enable = "%s/subsystems/%s/namespaces/%d/enable" % (env.root, env.nqn, DM)
    mark = "barrier taken away %d" % time.monotonic_ns()
    write_attr("/dev/kmsg", mark)
    with env.controller() as c, dm_holds(env) as let_go:
        held_writes(env, c, c.io_queue(), DM, 8)
        end(c, "close")
        status(attempt(env, c.host)[0], nvme.CONN_BUSY)
        log = subprocess.run(["dmesg", "--notime"], check=True, capture_output=True, text=True).stdout
        need("one of them in namespace %d (/dev/mapper/hold): its host has to wait" % DM in log.split(mark)[1],
             "the log does not say")
        with subprocess.Popen(["sh", "-c", "echo 0 >%s" % enable]) as switch:
            try:
                until(env.timeout, admitted(env, c.host), "the host is let in without the namespace")
                with env.controller(host=c.host) as again:
                    q = again.io_queue()
                    status(q.run(nvme.READ, nsid=1, read=512, **nvme.rw(0, 1)), 0)
                    status(q.run(nvme.READ, nsid=DM, read=4096, **nvme.rw(0, 1)), nvme.INVALID_NS)
                need(switch.poll() is None, "the namespace is disabled with commands in its device")
            finally:
                let_go()
            need(not switch.wait(env.timeout), "disable")
    write_attr(enable, "1")


def connect_does_not_wait(env):
    """Reads, and a controller that lives, hold nobody up."""
    with env.row("reads"), env.controller() as c, null_holds(env):
        q = c.io_queue()
        cmd = q.submit(nvme.READ, nsid=NULL, read=4096, **nvme.rw(0, 1))
        need(q.quiet(0.2) and not cmd.done, "the read was answered")
        end(c, "close")
        cmd, took = attempt(env, c.host)
        status(cmd, 0)
    with env.row("another path"), env.controller() as c, dm_holds(env):
        held_writes(env, c, c.io_queue(), DM)
        with env.controller(host=c.host) as other:
            other.identify_data(1)
    with env.row("gives up while it waits"), env.controller() as c, dm_holds(env):
        held_writes(env, c, c.io_queue(), DM)
        end(c, "close")
        for _ in range(8):
            p = env.peer()
            _, raw = ctrl.connect(p, c.host, env.nqn, held=True)
            p.send(raw)
            p.reset()


def old_never_returns(env):
    """What a cut host wrote before does not come over what it writes after its next Connect."""
    with env.controller() as c, dm_holds(env) as let_go:
        held_writes(env, c, c.io_queue(), DM)
        end(c, "close")
        if attempt(env, c.host)[0].status:
            let_go()
            until(env.timeout, admitted(env, c.host), "the host is let in")
        with env.controller(host=c.host) as again:
            # the same medium, not by way of what holds
            q = again.io_queue()
            status(q.wait(write(q, RAW, NEW)), 0)
            let_go()
            until(env.timeout, lambda: not os.path.exists("/sys/kernel/debug/nvtgt/%s/ctrl%d" % (env.nqn, c.cntlid)),
                  "the old controller is gone")
            got = q.run(nvme.READ, nsid=RAW, read=4096, **nvme.rw(0, 1))
            need(got.data == NEW, "old data have come back: %r", got.data[:4])


def cleared(q, nsid, blocks):
    q.wait(*(write(q, nsid, bytes(4096), 2 * i) for i in range(blocks)))


def what_is_there(env, nsid, blocks):
    with env.controller() as c:
        q = c.io_queue()
        return [q.run(nvme.READ, nsid=nsid, read=4096, **nvme.rw(2 * i, 1)).data == OLD for i in range(blocks)]


def waiting_never_begin(env):
    """Commands that wait for a worker when their queue ends never reach the medium."""
    ends = (("reset", lambda c: ctrl.prop_set(c.admin, nvme.CC, 0)), ("close", lambda c: end(c, "close")),
            ("cut", lambda c: end(c, "reset")), ("shutdown", lambda c: ctrl.prop_set(c.admin, nvme.CC, ctrl.CC_ENABLE | SHUTDOWN)))
    # the file system holds what workers do; a device with one tag holds one write, and workers wait for its tag
    for holder, nsid, begun in (("frozen file", FILE, WORKERS), ("device with one tag", LOOP, 1 + WORKERS)):
        for name, go in ends:
            with env.row("%s, %s", holder, name):
                with env.controller() as c:
                    q = c.io_queue(sqsize=63)
                    cleared(q, nsid, 48)
                    with file_holds(env) as let_go:
                        held_writes(env, c, q, nsid, 48)
                        go(c)
                        if name in ("reset", "shutdown"):
                            q.take_end()
                        else:
                            until(env.timeout, lambda: attempt(env, c.host)[0].status, "the target knows of the end")
                        let_go()
                        until(env.timeout, admitted(env, c.host), "the host is let in")
                there = what_is_there(env, nsid, 48)
                need(all(there[:1]), "the first one had begun and is not there")
                need(not any(there[begun:]), "%d commands that had not begun were executed", sum(there[begun:]))


def abort_waiting(env):
    """Abort takes back a command that waits for a worker, and that one is never executed."""
    with env.controller() as c:
        q = c.io_queue(sqsize=63)
        cleared(q, FILE, 40)
        with file_holds(env) as let_go:
            cmds = held_writes(env, c, q, FILE, 40)
            done = c.admin.run(nvme.A_ABORT, cdw10=1 | cmds[39].cid << 16)
            status(done, 0)
            same(done.cqe.dw0 & 1, 0, "Abort's result")
            status(q.wait(cmds[39]), nvme.ABORTED)
            done = c.admin.run(nvme.A_ABORT, cdw10=1 | cmds[0].cid << 16)
            same(done.cqe.dw0 & 1, 1, "Abort's result for a command that has begun")
            let_go()
            for cmd in cmds[:39]:
                status(q.wait(cmd), 0)
        there = what_is_there(env, FILE, 40)
        need(all(there[:39]) and not there[39], "there is %s", there)


if __name__ == "__main__":
    sys.exit(cases.main([reset_waits, shutdown_waits, idle_is_quick, limit, enable_too_early, connect_waits,
                         namespace_taken_away, connect_does_not_wait, old_never_returns, waiting_never_begin, abort_waiting]))
