#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What commands cost in steady state, counted with the kernel's own tracepoints and probes."""

import contextlib
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from nvmetcp import cases, nvme  # noqa: E402
from nvmetcp.cases import need, status, write_attr  # noqa: E402

TRACING = "/sys/kernel/tracing"
DEPTH = 32
WARM, COUNTED = 8, 16
PERIODIC = {"nvtgt_balance_work", "nvtgt_ns_poll_work", "nvtgt_rdma_trim_work", "nvtgt_ctrl_ka_work"}
# of connections of the case before, which are on their way out
LEAVING = {"nvtgt_rdma_disconnect_work", "nvtgt_conn_end_work", "nvtgt_conn_free_work"}
NULL, BDEV, POLLED, FILE, CACHE = 1, 2, 3, 4, 5
OURS = re.compile(r"\bnvtgt_\w+\+0x")
POOL = re.compile(r"=> nvtgt_(ring|buf|page|pool)")


def reactors():
    """Process ids of the reactors' threads."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open("/proc/%s/comm" % pid, encoding="ascii", errors="replace") as f:
            if f.read().startswith("nvtgt/"):
                yield int(pid)


def probe(text):
    """One more definition; writing it without appending would drop all others."""
    fd = os.open(TRACING + "/kprobe_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, text.encode("ascii") + b"\n")
    finally:
        os.close(fd)


class Trace:
    """Events between start and stop, in an instance of its own."""

    def __init__(self):
        self.dir = os.path.join(TRACING, "instances/nvtgt")

    def __enter__(self):
        if not os.path.isdir(os.path.join(TRACING, "events")):
            os.system("mount -t tracefs tracefs %s" % TRACING)
        probe("p:nvtgt_probe/send sock_sendmsg")
        os.mkdir(self.dir)
        write_attr(self.dir + "/options/stacktrace", 0)
        write_attr(self.dir + "/buffer_size_kb", 8192)
        ours = " || ".join("common_pid == %d" % pid for pid in reactors())
        need(ours, "there is no reactor")
        for event in ("nvtgt_probe/send", "kmem/kmalloc", "kmem/kmem_cache_alloc", "kmem/kmalloc_node",
                      "kmem/kmem_cache_alloc_node", "workqueue/workqueue_queue_work"):
            path = "%s/events/%s" % (self.dir, event)
            if os.path.isdir(path):     # two of these are gone since 6.3
                write_attr(path + "/filter", ours)
                write_attr(path + "/enable", 1)
        path = self.dir + "/events/kmem/mm_page_alloc"
        write_attr(path + "/filter", ours)
        write_attr(path + "/trigger", "stacktrace")
        write_attr(path + "/enable", 1)
        path = self.dir + "/events/sched/sched_wakeup"
        write_attr(path + "/filter", 'comm ~ "nvtgt/*"')
        write_attr(path + "/enable", 1)
        write_attr(self.dir + "/tracing_on", 0)
        return self

    def __exit__(self, *_):
        write_attr(self.dir + "/tracing_on", 0)
        for event in os.listdir(self.dir + "/events"):
            with contextlib.suppress(OSError):
                write_attr("%s/events/%s/enable" % (self.dir, event), 0)
        with contextlib.suppress(OSError):
            write_attr(self.dir + "/events/kmem/mm_page_alloc/trigger", "!stacktrace")
        os.rmdir(self.dir)
        probe("-:nvtgt_probe/send")

    @contextlib.contextmanager
    def on(self):
        """Counts what happens inside; the dictionary is filled in afterwards."""
        counts = {}
        write_attr(self.dir + "/trace", "")
        write_attr(self.dir + "/tracing_on", 1)
        try:
            yield counts
        finally:
            write_attr(self.dir + "/tracing_on", 0)
        with open(self.dir + "/trace", encoding="ascii", errors="replace") as f:
            text = f.read()
        need("LOST" not in text, "the trace buffer is too small")
        lines = text.splitlines()
        counts["sends"] = sum(" send: " in line for line in lines)
        taken = [line for line in lines if re.search(r" km\w+: ", line)]
        counts["all_allocations"] = len(taken)
        counts["allocations"] = [line for line in taken if OURS.search(line)]
        # timers interrupt the thread as well, once a second each, whatever the load
        queued = [line.split("function=")[-1] for line in lines if "workqueue_queue_work:" in line]
        counts["works"] = [text for text in queued
                           if "nvtgt" in text and text.split()[0] not in PERIODIC | LEAVING]
        counts["wakeups"] = sum("sched_wakeup:" in line for line in lines)
        counts["pages"] = [m.group(0) for m in POOL.finditer(text)]


def batches(q, make, number):
    """So many batches: all of a batch's capsules in one call, the next when all are answered."""
    for _ in range(number):
        made = [make(q, i) for i in range(DEPTH)]
        q.send(b"".join(raw for _, raw in made))
        for cmd, _ in made:
            q.wait(cmd)
            status(cmd, 0)


def read(nsid, nlb):
    """A command for batches()."""
    return lambda q, i: q.submit(nvme.READ, nsid=nsid, read=512 * nlb, held=True, **nvme.rw(i * nlb, nlb))


def write(nsid, nlb):
    """With its data in the capsule."""
    return lambda q, i: q.submit(nvme.WRITE, nsid=nsid, out=bytes(512 * nlb), inline=True, held=True,
                                 **nvme.rw(i * nlb, nlb))


def rounds(trace, once):
    """
    Rounds until one needs no fresh page: the pool has then as many as TCP keeps at a time, until the
    peer acknowledges. A target that takes one for every command never gets there.
    """
    for _ in range(12):
        with trace.on() as counts:
            once()
        if not counts["pages"]:
            break
    return counts


def in_steady_state(counts, tcp=True):
    """What holds whatever the load."""
    need(counts["all_allocations"] or not tcp, "no allocation was seen, not even TCP's: nothing was traced")
    need(not counts["allocations"], "%d allocations: %s", len(counts["allocations"]), counts["allocations"][:2])
    need(not counts["pages"], "%d fresh pages: %s", len(counts["pages"]), counts["pages"][:2])
    need(not counts["works"], "%d works queued: %s", len(counts["works"]), counts["works"][:2])


def table(env, nsid, rows, check):
    with env.controller(sqsize=63) as c:
        q = c.io_queue(sqsize=63)
        with Trace() as trace:
            for name, make in rows:
                with env.row(name):
                    batches(q, make, WARM)
                    counts = rounds(trace, lambda: batches(q, make, COUNTED))
                    print("    # %s: %d batches of %d: %d sends, %d wake-ups" % (
                        name, COUNTED, DEPTH, counts["sends"], counts["wakeups"]))
                    in_steady_state(counts)
                    check(counts)


def a_batch_is_one_send(env):
    """On a backend that answers at once the whole batch is received, executed and sent in one pass."""
    def check(counts):
        need(counts["sends"] == COUNTED, "%d sends for %d batches", counts["sends"], COUNTED)
        need(counts["wakeups"] <= 2 * COUNTED, "%d wake-ups for %d batches", counts["wakeups"], COUNTED)

    table(env, NULL, (("reads of 512 bytes", read(NULL, 1)), ("writes of 512 bytes", write(NULL, 1))), check)


def a_device_costs_nothing_more(env):
    """A device that answers from its interrupt: fewer wake-ups and sends than commands."""
    def check(counts):
        need(counts["sends"] <= COUNTED * DEPTH / 2, "%d sends for %d commands", counts["sends"], COUNTED * DEPTH)
        need(counts["wakeups"] <= COUNTED * DEPTH / 2, "%d wake-ups for %d commands", counts["wakeups"],
             COUNTED * DEPTH)

    table(env, BDEV, (("reads of 512 bytes", read(BDEV, 1)), ("reads of 4096 bytes", read(BDEV, 8)),
                      ("writes of 4096 bytes", write(BDEV, 8))), check)


def a_polled_device_is_asked_for_tags(env):
    """More commands than the device has tags: those that are done give theirs back, no worker waits for them."""
    def check(counts):
        need(counts["sends"] <= COUNTED * DEPTH / 2, "%d sends for %d commands", counts["sends"], COUNTED * DEPTH)

    table(env, POLLED, (("polled reads of 4096 bytes", read(POLLED, 8)),
                        ("polled writes of 4096 bytes", write(POLLED, 8))), check)


def read_page(q, i):
    """For a namespace with blocks of 4 KiB."""
    return q.submit(nvme.READ, nsid=FILE, read=4096, held=True, **nvme.rw(i, 1))


def flush(q, _):
    return q.submit(nvme.FLUSH, nsid=CACHE, held=True)


def a_cached_file_needs_no_worker(env):
    """What the page cache has is read where the command comes in."""
    def check(counts):
        need(counts["sends"] == COUNTED, "%d sends for %d batches", counts["sends"], COUNTED)

    table(env, FILE, (("cached reads of 4096 bytes", read_page),), check)


def a_flush_needs_no_worker(env):
    """Of a device that has requests: it is queued like any of them."""
    table(env, CACHE, (("flushes", flush),), lambda counts: None)


def singles(q, nsid):
    for _ in range(COUNTED):
        status(q.run(nvme.READ, nsid=nsid, read=512, **nvme.rw(0, 1)), 0)


def one_at_a_time(env):
    """Depth 1: one send and no more than two wake-ups (for the capsule, for the device)."""
    with env.controller() as c:
        q = c.io_queue()
        with Trace() as trace:
            for name, nsid, limit in (("null", NULL, 1), ("device", BDEV, 2)):
                with env.row("one read at a time, %s", name):
                    counts = rounds(trace, lambda: singles(q, nsid))
                    in_steady_state(counts)
                    need(counts["sends"] == COUNTED, "%d sends for %d reads", counts["sends"], COUNTED)
                    # an acknowledgement may wake it as well
                    need(counts["wakeups"] <= (limit + 1) * COUNTED, "%d wake-ups for %d reads", counts["wakeups"],
                         COUNTED)


if __name__ == "__main__":
    sys.exit(cases.main([a_batch_is_one_send, a_device_costs_nothing_more, a_polled_device_is_asked_for_tags,
                         a_cached_file_needs_no_worker, a_flush_needs_no_worker, one_at_a_time]))
