# SPDX-License-Identifier: GPL-2.0
"""
The tests of vm/plan.py for pytest: static checks, unit tests and builds in the build root, functional
tests in guests, of which each worker of xdist has one at a time. tests/run is the entry, and says
what the options mean.
"""

import fcntl
import json
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys
import time
import xml.dom.minidom

import pytest

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(TESTS, "vm"))
import guests  # noqa: E402
import plan  # noqa: E402

if "NVTGT_CALLER" not in os.environ:
    raise pytest.UsageError("start it with tests/run")
CACHE = os.environ["NVTGT_CACHE"]
RESULTS = os.environ.get("NVTGT_RESULTS") or os.path.join(CACHE, "results")
# of a log that is shown when its test has failed
TAIL = 40
KEPT_RUNS = 100


def pytest_addoption(parser):
    group = parser.getgroup("nvtgt")
    plan.add_options(group.addoption)
    group.addoption("--target", default="nvtgt")
    group.addoption("--patience", type=float)
    group.addoption("--append", default="")
    group.addoption("--repeat", type=int, default=1)
    group.addoption("--keep", action="store_true")


def is_worker(config):
    return hasattr(config, "workerinput")


def say(text):
    print(text, file=sys.stderr, flush=True)


# ------------------------------------------------------------ a run


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    option = config.option
    try:
        if is_worker(config):
            # what was chosen when the run began, whatever the tree holds now
            with open(os.path.join(config.workerinput["nvtgt_run"], "tests"), "rb") as f:
                config.nvtgt_tests = pickle.load(f)
        else:
            config.nvtgt_tests = plan.asked_for(option)
    except plan.ChoiceError as e:
        raise pytest.UsageError(str(e)) from None
    config.nvtgt_run, config.nvtgt_folder = None, None
    config.nvtgt_planned = len(config.nvtgt_tests)
    if is_worker(config):
        config.nvtgt_run = Run(config, config.workerinput["nvtgt_run"], config.workerinput["workerid"] + "-")
    elif not option.collectonly:
        # an end by SIGTERM is as orderly as one by Ctrl-C; it ends the workers as well
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        config.nvtgt_started = time.monotonic()
        folder = os.path.join(RESULTS, "%s-%d" % (time.strftime("%Y%m%d-%H%M%S"), os.getpid()))
        option.xmlpath = os.path.join(os.environ["NVTGT_CALLER"], option.xmlpath or os.path.join(folder, "junit.xml"))
        config.nvtgt_name = folder


def make_folder(folder):
    """The run's folder, and the link "last" to it."""
    os.makedirs(folder)
    link = "%s.last" % folder
    os.symlink(folder, link)
    os.replace(link, os.path.join(RESULTS, "last"))
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    """Before xdist starts its workers: all that the tests need."""
    config = session.config
    if is_worker(config) or config.option.collectonly:
        return
    config.nvtgt_folder = folder = make_folder(config.nvtgt_name)
    with open(os.path.join(folder, "tests"), "wb") as f:
        pickle.dump(config.nvtgt_tests, f)
    command = [os.path.join(TESTS, "vm/ready"), "--snapshot", folder + "/tree", "--out", folder + "/places"]
    command += needs(config.nvtgt_tests)
    if run_group(command):
        pytest.exit("what the tests need could not be made", 1)
    config.nvtgt_run = Run(config, folder, "")
    say("%d tests, %s at a time; logs: %s" % (
        len(config.nvtgt_tests), config.getoption("numprocesses", None) or 1, folder))


def needs(tests):
    """Words for tests/vm/ready."""
    words = []
    on = {t.kernel for t in tests if t.kernel} | ({plan.USUAL} if any(t.rung == "static" for t in tests) else set())
    for kernel in sorted(on):
        words += ["-k", kernel]
    for kernel in sorted({t.kernel for t in tests if t.variant == "iwarp"}):
        words += ["--iwarp", kernel]
    words += ["--" + what for what in plan.NEEDS if any(what in t.needs for t in tests)]
    rungs = {t.rung for t in tests}
    words += ["--guests"] * bool(rungs & {"functional", "selftest", "perf"})
    words += ["--checkers"] * ("static" in rungs) + ["--bench"] * any(t.short == "perf/bench" for t in tests)
    return words


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["nvtgt_run"] = node.config.nvtgt_folder


def run_group(command, **kw):
    """
    Run a command. When this process is interrupted all that the command has started ends. When it is killed the
    command gets SIGTERM, and what runs in the build root dies with it (in_build_root() of vm/lib.sh).
    """
    with subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], stdin=subprocess.DEVNULL,
                          process_group=0, **kw) as process:
        try:
            return process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise


class Run:
    """The run's folder, as one process sees it, and this process's guest."""

    def __init__(self, config, folder, name):
        self.dir = folder
        self.tree = os.path.join(folder, "tree")
        self.places = guests.read_places(os.path.join(folder, "places"))
        self.guests = None
        if "image" in self.places:
            option = config.option
            self.guests = guests.Guests(guests.make_plan(
                self.places, folder, option.target, option.append, option.patience), name)

    def stop(self):
        if self.guests:
            self.guests.stop()

    def tool(self, name, *words, log):
        """A program of tests/vm, its output in a log. Returns its exit code."""
        with open(log, "wb") as f:
            return run_group([os.path.join(TESTS, "vm", name), *words], stdout=f, stderr=f,
                             env=dict(os.environ, NVTGT_RESOLVED=os.path.join(self.dir, "resolved")))

    def build(self, what, stock=False):
        """
        Build the modules of a kernel, or the tools, if no process of this run has done it: (exit code, log).
        stock: the kernel's own modules will do.
        """
        log = os.path.join(self.dir, "build.%s.log" % what)
        result = os.path.join(self.dir, "build.%s.rc" % what)
        if stock and not os.path.exists(result):
            log, result = log + ".stock", result + ".stock"
        with open(result + ".lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(result):
                rc = self.build_now(what, log, ["--stock"] * stock)
                pathlib.Path(result).write_text(str(rc), encoding="ascii")
        return int(pathlib.Path(result).read_text(encoding="ascii")), log

    def build_now(self, what, log, more):
        words = ["--tools"] if what == "tools" else ["-k", what]
        rc = self.tool("build", *words, *more, "--from", self.tree, "--stage", self.dir, log=log)
        if not rc and what == "tools":
            # guests unpack them from there
            os.rename(os.path.join(self.dir, "tools"), os.path.join(self.tree, ".tools"))
        return rc


def pytest_sessionfinish(session):
    config = session.config
    if config.nvtgt_run:
        config.nvtgt_run.stop()
    if is_worker(config) or not config.nvtgt_run:
        return
    # a test that should have run and did not is a failure, whatever stopped it
    if counts(config)[3] and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_finish(session):
    session.config.nvtgt_planned = len(session.items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node, ids):
    """What is planned, without the tests that pytest's own options have deselected."""
    node.config.nvtgt_planned = len(ids)


def counts(config):
    """Passed, failed, skipped, and those without a verdict."""
    stats = config.pluginmanager.get_plugin("terminalreporter").stats
    return plan.count({what: {r.nodeid for r in stats.get(what, ())}
                       for what in ("passed", "failed", "error", "skipped")}, config.nvtgt_planned)


def pytest_unconfigure(config):
    folder = getattr(config, "nvtgt_folder", None)
    if is_worker(config) or not folder:
        return
    shutil.rmtree(os.path.join(folder, "tree"), ignore_errors=True)
    for modules in pathlib.Path(folder).glob("modules-*"):
        shutil.rmtree(modules, ignore_errors=True)
    if not config.nvtgt_run:
        return
    passed, failed, skipped, lost = counts(config)
    if failed or lost:
        pathlib.Path(folder, "failed").touch()
    if not config.option.keep:
        for old in sorted(pathlib.Path(RESULTS).glob("2*"))[:-KEPT_RUNS]:
            shutil.rmtree(old, ignore_errors=True)
    say("%.0f seconds; logs: %s" % (time.monotonic() - config.nvtgt_started, folder))
    if lost:
        say("%d tests have no result: the run was ended before" % lost)
    print("%d passed, %d failed, %d skipped" % (passed, failed + lost, skipped), flush=True)


# ------------------------------------------------------------ the tests


def pytest_collect_file(file_path, parent):
    if file_path == pathlib.Path(TESTS, "vm/plan.py"):
        return Plan.from_parent(parent, path=file_path)
    return None


class Plan(pytest.File):
    """All chosen tests. Their names are those of tests/run, whatever file they are."""

    def collect(self):
        option = self.config.option
        for again in range(option.repeat):
            for test in in_order(self.config.nvtgt_tests):
                if again and test.rung != "functional":
                    continue
                name = test.full + ("#%d" % (again + 1) if again else "")
                case = CASES.get(test.short) or CASES[test.rung]
                yield case.from_parent(self, name=name, nodeid=name, test=test, again=again)


def in_order(tests):
    """
    What runs in the build root first; then one kind of guest after the other, that with the longest test first,
    so that a worker seldom needs a new guest. xdist gives each worker a part of this list, and more when it is through.
    """
    rungs = ("build", "selftest", "perf", "unit", "static", "functional")
    longest = {}
    for test in tests:
        longest[test.kind] = max(longest.get(test.kind, 0), test.timeout)
    return sorted(tests, key=lambda t: (rungs.index(t.rung), t.rung == "functional" and (-longest[t.kind], t.kind),
                                        t.short))


class Wrong(Exception):
    """A test has failed: a reason in one line, and the file that has the rest."""

    def __init__(self, reason, log=""):
        super().__init__(reason)
        self.reason, self.log = reason, log

    def __str__(self):
        text = self.reason
        if self.log:
            text += "\n" + "\n".join("| " + line for line in last_lines(self.log, TAIL)) + "\n" + self.log
        return text


def last_lines(path, number):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            lines = [line.rstrip().replace("\r", "") for line in f]
    except OSError as e:
        return [str(e)]
    return [line for line in lines if line][-number:]


class Case(pytest.Item):
    """One test."""

    # what all of it may take, seconds, when it is no guest's; a build may have to be waited for
    LIMIT = 3600

    def __init__(self, *, test, again, **kw):
        super().__init__(**kw)
        self.test, self.again = test, again
        self.add_marker(pytest.mark.timeout(self.limit()))
        self.add_marker(test.rung)
        if test.nightly:
            self.add_marker("nightly")

    @property
    def run(self):
        return self.config.nvtgt_run

    def limit(self):
        return self.LIMIT * (self.config.option.patience or 1)

    def log(self):
        return os.path.join(self.run.dir, "%s.log" % self.test.short.replace("/", "."))

    def judge(self, rc, log):
        """A program's exit code."""
        if rc == 77:
            pytest.skip("".join(last_lines(log, 1)))
        if rc:
            raise Wrong("exit %d" % rc, log)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, Wrong):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.test.path, None, self.name


class Static(Case):
    def runtest(self):
        log = self.log()
        self.judge(self.run.tool("in-root", "-k", plan.USUAL, "-b", self.run.tree + ":/src",
                                 "-b", self.run.places["checkers"] + ":/usr/share/nvtgt-checkpatch",
                                 "tests/static/%s.sh" % self.test.name, log=log), log)


class Unit(Case):
    def runtest(self):
        log, work = self.log(), os.path.join(self.run.dir, "unit", self.test.name)
        os.makedirs(work)
        program = ["tests/unit/build-and-run", self.test.name]
        if self.test.path.endswith(".sh"):
            program = ["tests/unit/%s.sh" % self.test.name]
        self.judge(self.run.tool("in-root", "-k", self.test.kernel, "-b", self.run.tree + ":/src",
                                 "-b", work + ":/work", *program, log=log), log)


class Build(Case):
    def runtest(self):
        self.judge(*self.run.build(self.test.name))


class Perf(Case):
    """`make bench` runs through and reports on every row; how fast is no test's matter."""

    def runtest(self):
        log, out = self.log(), os.path.join(self.run.dir, "perf")
        self.judge(self.run.tool("../perf/bench", "--quick", "--reps", "1", "--out", out, log=log), log)
        with open(os.path.join(out, "report.json"), encoding="utf-8") as f:
            rows = json.load(f)["rows"]
        xml.dom.minidom.parse(os.path.join(out, "report.svg"))
        bad = [name for name, row in rows.items() if not row["ratio"]["nvtgt"]["median"] > 0]
        if len(rows) != 6 or bad:
            raise Wrong("rows: %s, without a ratio: %s" % (" ".join(rows), bad))


class Instructions(Case):
    """What a command costs, in instructions, is not more than what is recorded."""

    def runtest(self):
        self.judge(*self.run.build(self.test.kernel))
        log, places, run = self.log(), self.run.places, self.run.dir
        work = os.path.join(run, "gate")
        os.makedirs(work)
        where = {"kernel": plan.USUAL, "vmlinuz": places["vmlinuz-" + plan.USUAL],
                 "initrd": places["initrd-" + plan.USUAL], "modules": run + "/modules-" + plan.USUAL,
                 "tree": self.run.tree, "image": places["image"], "work": work, "reps": "3",
                 "record-file": self.run.tree + "/Documentation/performance/instructions.json"}
        words = [word for name, value in where.items() for word in ("--" + name, value)]
        self.judge(self.run.tool("../perf/in_guests.py", "gate", *words, log=log), log)


class SelfTest(Case):
    """The judge itself: scripts of which each must get its verdict, one after another in one guest."""

    def runtest(self):
        self.judge(*self.run.build(self.test.kernel))
        folder = os.path.join(self.run.dir, "selftest")
        option = self.config.option
        places = guests.make_plan(self.run.places, self.run.dir, "nvmet", option.append, option.patience)
        places["results"] = folder
        own, bad, seen = guests.Guests(places), [], 0
        try:
            for test, expect in plan.Reader(os.path.join(self.run.tree, "tests")).selftests():
                seen += 1
                verdict = own.run("vm/selftest/" + test.name, test.name, test.kind, test.timeout)
                if not ("%s %s" % verdict[:2]).startswith(expect):
                    bad.append("%s: %s %s, not %s" % (test.name, *verdict[:2], expect))
        finally:
            own.stop()
        if not seen:
            raise Wrong("there are no scripts in tests/vm/selftest")
        if bad:
            raise Wrong("the judge does not see what it should (%s)\n%s" % (folder, "\n".join(bad)))


class Functional(Case):
    def limit(self):
        # a guest's own patience grows to eight times with the time of its boot
        patience = self.config.option.patience or (4 if self.test.kernel == plan.DEBUG else 1)
        return 1200 + (self.test.timeout + 200) * patience * 9

    def runtest(self):
        test, run = self.test, self.run
        # the kernel's own target needs no build of ours
        stock = self.config.option.target != "nvtgt"
        for what in [test.kernel] + ["tools"] * (not stock):
            rc, log = run.build(what, stock)
            if rc:
                raise Wrong("the build of %s failed" % what, log)
        index = self.name.replace("[", ".").rstrip("]").replace("]#", ".").replace("/", ".")
        verdict = run.guests.run("functional/" + test.name, index, test.kind, test.timeout)
        if verdict.word == "skip":
            pytest.skip(verdict.reason)
        if verdict.word != "ok":
            raise Wrong(verdict.reason, verdict.log)


CASES = {"static": Static, "unit": Unit, "build": Build, "selftest": SelfTest, "perf": Perf,
         "perf/instructions": Instructions, "functional": Functional}


def pytest_runtest_teardown(item, nextitem):
    """A guest that the next test has no use for ends."""
    if isinstance(item, Functional) and getattr(nextitem, "test", None) and nextitem.test.kind != item.test.kind:
        item.run.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report):
    """The seconds beside each verdict, and the reason beside a bad one, as it comes."""
    if report.when != "call":
        return None
    if report.skipped:
        return "skipped", "s", "SKIPPED: %s:" % report.longrepr[2]
    if report.passed:
        return "passed", ".", "PASSED %4.0f s" % report.duration
    if report.failed:
        return "failed", "F", "FAILED %4.0f s: %s:" % (report.duration, str(report.longrepr).split("\n", 1)[0])
    return None
