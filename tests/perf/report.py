#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What `make bench` runs, and what it makes of the results: text, JSON, a plot, a history."""

import argparse
import datetime
import fnmatch
import json
import os
import statistics
import sys

# name, words, commands per run, the most that the ratio to nvmet may be
GOALS = [
    ("4k-read-qd1", "op=read bytes=4096 qd=1", 60000, 0.80),
    ("4k-read-qd32", "op=read bytes=4096 qd=32", 200000, 0.42),
    ("4k-write-qd32", "op=write bytes=4096 qd=32", 200000, 0.52),
    ("128k-read-qd16", "op=read bytes=131072 qd=16", 20000, 0.53),
    ("128k-write-qd16", "op=write bytes=131072 qd=16", 20000, 0.75),
    ("4k-read-4x8", "op=read bytes=4096 qd=8 conns=4", 200000, 0.48),
]
VARIANTS = [
    ("", "", ("nvmet", "nvtgt", "floor+blk", "floor")),
    ("/noflow", " flow=0", ("nvmet", "nvtgt", "floor+blk")),
    ("/ragged", " ragged=1", ("nvmet", "nvtgt", "floor+blk")),
    ("/digests", " hdgst=1 ddgst=1", ("nvmet", "nvtgt", "floor+blk")),
]
CONNS = (1, 2, 4, 8, 16, 32, 64)
SPREAD = (1, 10, 100, 1000)


def rows(which):
    """(name, words, ios, goal, targets) of a set."""
    if which == "scale":
        for n in CONNS:
            yield "conns-%d" % n, "op=read bytes=4096 qd=8 conns=%d" % n, 128000, None, ("nvmet", "nvtgt")
        for n in SPREAD:
            yield "namespaces-%d" % n, "op=read bytes=4096 qd=32 nqn=many spread=%d" % n, 128000, None, ("nvmet", "nvtgt")
        for n in SPREAD:
            yield "subsystems-%d" % n, "op=read bytes=4096 qd=32 subsystems=%d" % n, 128000, None, ("nvmet", "nvtgt")
        return
    for suffix, more, targets in VARIANTS:
        if suffix and which == "goals":
            break
        for name, words, ios, goal in GOALS:
            if suffix == "/ragged" and "qd=1 " in words + " ":
                continue
            # crc32c is the generic one here, and slow
            many = ios // 10 if suffix == "/digests" else ios
            yield name + suffix, words + more, many, goal if not suffix else None, targets


def chosen(args):
    """The rows that were asked for."""
    found = [r for r in rows(args.set) if not args.rows or any(fnmatch.fnmatch(r[0], p) for p in args.rows)]
    if not found:
        sys.exit("error: no such row; --list shows them")
    return found


def plan(args):
    """The jobs: a repetition goes through all rows, a row through its targets, each time in another order."""
    for rep in range(args.reps):
        for number, (name, words, ios, _, targets) in enumerate(chosen(args)):
            shift = (rep + number) % len(targets)
            for target in targets[shift:] + targets[:shift]:
                print(name, target, words, "ios=%d" % ios)


def read(console):
    """{row: {target: [ns per I/O, ...]}} and the sends per I/O."""
    out = {}
    with open(console, encoding="utf-8", errors="replace") as f:
        for line in f:
            if not line.startswith("PERF RESULT "):
                continue
            _, _, name, target, *words = line.split()
            result = {k: int(v) for k, v in (w.split("=") for w in words)}
            if result["error"] or not result["ios"]:
                sys.exit("error: %s %s failed: %s (see the console)" % (name, target, line.strip()))
            out.setdefault(name, {}).setdefault(target, []).append(result["cpu_ns"] / result["ios"])
    if not out:
        sys.exit("error: the console shows no result")
    return out


def summary(values):
    """Median, quartiles, and the spread between these as a share of the median."""
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {"median": quartiles[1], "q1": quartiles[0], "q3": quartiles[2], "min": min(values), "max": max(values),
            "spread": (quartiles[2] - quartiles[0]) / quartiles[1] if quartiles[1] else 0, "values": values}


def ratios(row, target):
    """One ratio to nvmet per repetition: both were measured next to each other."""
    return [a / b for a, b in zip(row[target], row["nvmet"])]


def make(data, goals):
    """The result as it is kept."""
    result = {}
    for name, row in data.items():
        entry = {"goal": goals.get(name), "targets": {t: summary(v) for t, v in row.items()}, "ratio": {}}
        if "nvmet" in row:
            entry["ratio"] = {t: summary(ratios(row, t)) for t in row if t != "nvmet"}
        result[name] = entry
    return result


def text(result, before):
    """A table that one can read."""
    lines = ["%-26s %9s %9s %9s %9s   %-22s %6s  %s" % (
        "ns of CPU per I/O, medians", "nvmet", "nvtgt", "floor+blk", "floor", "nvtgt/nvmet (quartiles)", "goal", "")]
    for name, entry in result.items():
        cells = []
        for target in ("nvmet", "nvtgt", "floor+blk", "floor"):
            cells.append("%.0f" % entry["targets"][target]["median"] if target in entry["targets"] else "")
        ratio = entry["ratio"].get("nvtgt")
        verdict = ""
        if ratio and entry["goal"]:
            verdict = "ok" if ratio["median"] <= entry["goal"] else "MISSED"
        old = before.get(name)
        if ratio and old and ratio["median"] > old * 1.05:
            verdict += " worse than before: %.3f" % old
        lines.append("%-26s %9s %9s %9s %9s   %-22s %6s  %s" % (
            name, *cells, "%.3f (%.3f-%.3f)" % (ratio["median"], ratio["q1"], ratio["q3"]) if ratio else "",
            entry["goal"] or "", verdict))
    worst = max((e["targets"][t]["spread"], n, t) for n, e in result.items() for t in e["targets"])
    lines.append("widest spread between quartiles: %.1f %% (%s, %s)" % (worst[0] * 100, worst[1], worst[2]))
    return "\n".join(lines) + "\n"


def svg(result, title):
    """Bars: each row's ratio to nvmet, with its quartiles and its goal."""
    shown = [(n, e) for n, e in result.items() if e["ratio"].get("nvtgt")]
    left, width, step, top = 190, 560, 26, 58
    height = top + step * len(shown) + 34
    scale = width / 1.1
    out = ['<!-- SPDX-License-Identifier: GPL-2.0 -->',
           '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">'
           % (left + width + 30, height),
           '<rect width="100%" height="100%" fill="#ffffff"/>',
           '<text x="12" y="22" font-size="15">CPU time per I/O as a share of nvmet\'s (less is better)</text>',
           '<text x="12" y="40" fill="#555555">%s</text>' % title]
    for tick in range(0, 11, 2):
        x = left + tick / 10 * scale
        out.append('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#dddddd"/>' % (x, top - 6, x, height - 28))
        out.append('<text x="%.1f" y="%d" text-anchor="middle" fill="#555555">%.1f</text>' % (x, height - 12, tick / 10))
    for i, (name, entry) in enumerate(shown):
        y = top + i * step
        ratio, floor = entry["ratio"]["nvtgt"], entry["ratio"].get("floor+blk")
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (left - 8, y + 14, name))
        out.append('<rect x="%d" y="%d" width="%.1f" height="14" fill="#3a7ca5"/>' % (left, y + 3, ratio["median"] * scale))
        if floor:
            out.append('<rect x="%d" y="%d" width="%.1f" height="5" fill="#a9c6d8"/>'
                       % (left, y + 18, floor["median"] * scale))
        out.append('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#000000"/>'
                   % (left + ratio["q1"] * scale, y + 10, left + ratio["q3"] * scale, y + 10))
        if entry["goal"]:
            x = left + entry["goal"] * scale
            out.append('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#c0392b" stroke-width="2"/>' % (x, y, x, y + 20))
        out.append('<text x="%.1f" y="%d" fill="#333333">%.2f</text>' % (left + ratio["median"] * scale + 8, y + 14, ratio["median"]))
    out.append('<text x="%d" y="22" text-anchor="end" fill="#555555">thick: nvtgt; thin: floor + block layer; red: goal</text>' % (left + width + 20))
    out.append("</svg>")
    return "\n".join(out) + "\n"


def last_ratios(path):
    """The ratios of the newest line of the history."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        lines = [line for line in f if line.strip()]
    return json.loads(lines[-1])["ratio"] if lines else {}


def report(args):
    """Text, JSON and plot into --out; the text on stdout as well."""
    result = make(read(args.console), {r[0]: r[3] for which in ("all", "scale") for r in rows(which)})
    table = text(result, last_ratios(args.history))
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")
    title = "%s, %s, kernel %s" % (args.commit, now, args.kernel)
    with open(os.path.join(args.out, "report.txt"), "w", encoding="utf-8") as f:
        f.write(title + "\n" + table)
    with open(os.path.join(args.out, "report.json"), "w", encoding="utf-8") as f:
        json.dump({"commit": args.commit, "time": now, "kernel": args.kernel, "rows": result}, f, indent=1)
    with open(os.path.join(args.out, "report.svg"), "w", encoding="utf-8") as f:
        f.write(svg(result, title))
    if args.record:
        line = {"commit": args.commit, "time": now, "kernel": args.kernel,
                "ratio": {n: round(e["ratio"]["nvtgt"]["median"], 3) for n, e in result.items() if "nvtgt" in e["ratio"]}}
        with open(args.history, "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")
    sys.stdout.write(table)


def main():
    """The three uses."""
    parser = argparse.ArgumentParser(description=__doc__)
    sub = parser.add_subparsers(dest="use", required=True)
    p = sub.add_parser("list")
    p = sub.add_parser("plan")
    p.add_argument("--set", default="all")
    p.add_argument("--reps", type=int, default=8)
    p.add_argument("rows", nargs="*")
    p = sub.add_parser("report")
    for name in ("console", "out", "kernel", "commit", "history"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--record", action="store_true")
    args = parser.parse_args()
    if args.use == "list":
        for which in ("all", "scale"):
            for row in rows(which):
                print("%-26s %s" % (row[0], row[1]))
    elif args.use == "plan":
        plan(args)
    else:
        report(args)


if __name__ == "__main__":
    main()
