"""The evalkit command as tests run it: in this process, or in one that can be killed.

As a script it is a forge: importing MLflow takes seconds, so it does that once, and then forks a
process for each command that it reads from stdin.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from eval_project import RUN_ID, EvalProject
from servers import clean_environment

from evalkit.cli import main


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, negative where a signal ended it, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def report(self):
        """The JSON object in the last line of stdout."""
        report = json.loads(self.out.splitlines()[-1])
        assert isinstance(report, dict)
        return report


def run_here(*arguments: str, capture) -> Outcome:
    """Run a command in this process; ``capture`` is pytest's capfd."""
    capture.readouterr()
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    return Outcome(code, *capture.readouterr())


@dataclass
class Running:
    """A command that runs in a process of its own."""

    pid: int
    streams: Path
    forge: Forge
    ended: int | None = None

    def kill(self, number=signal.SIGKILL):
        if self.ended is None:
            os.kill(self.pid, number)

    def wait(self) -> Outcome:
        self.ended = int(self.forge.read())
        return Outcome(self.ended, *((self.streams / n).read_text("utf-8") for n in ("out", "err")))


class Forge:
    """Starts commands in forked processes, one at a time; their output goes to the folder."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder, self.template = folder, template

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(self.template), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
            env=clean_environment(),
        )
        assert self.read() == "ready"
        return self

    def __exit__(self, *_):
        self.process.communicate(timeout=30)

    def read(self):
        return self.process.stdout.readline().strip()

    def start(self, *arguments, cwd, env=None, script="", said="", terminal="") -> Running:
        """Start a command of evalkit, or in its place a script with these arguments.

        ``env`` is added to the environment, ``said`` is what it reads from stdin, and ``terminal``
        the path of the terminal that it runs in, in a session of its own.
        """
        job = {
            "script": str(script),
            "arguments": arguments,
            "cwd": str(cwd),
            "env": dict(env or {}),
            "streams": str(self.folder),
            "said": said,
            "terminal": terminal,
        }
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return Running(int(self.read()), self.folder, self)

    def run(self, *arguments, cwd, **more) -> Outcome:
        """What :meth:`start` starts, to its end."""
        return self.start(*arguments, cwd=cwd, **more).wait()


def until(condition, seconds=60):
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.005)


def _obey(job):
    os.chdir(job["cwd"])
    os.environ.update(job["env"])
    streams = Path(job["streams"])
    (streams / "in").write_text(job["said"], "utf-8")
    for number, (name, mode) in enumerate((("in", "rb"), ("out", "wb"), ("err", "wb"))):
        with (streams / name).open(mode) as file:
            os.dup2(file.fileno(), number)
    if job["terminal"]:
        os.setsid()
        with open(job["terminal"], "r+b", buffering=0) as terminal:  # noqa: PTH123 - no file
            for number in range(3):
                os.dup2(terminal.fileno(), number)
    try:
        if not job["script"]:
            return main(job["arguments"])
        sys.argv = [job["script"], *job["arguments"]]
        runpy.run_path(job["script"], run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _warm_up(template, folder):
    """Do everything once, so that the children find it imported and set up."""
    import altair as alt  # noqa: F401 - for children that run a notebook with charts
    import anthropic  # noqa: F401 - for children that ask Claude
    import marimo
    import mlflow.store.tracking.rest_store  # noqa: F401 - for children that talk to a server
    import quick_sqlite  # noqa: F401 - for children that write to a database
    import scipy.stats  # noqa: F401 - for children that compare runs
    import sklearn.metrics  # noqa: F401 - for children that hold judges against people

    import evalkit.ui.notebook  # noqa: F401 - for children that run a notebook

    marimo.App().run()
    marimo.md("")

    project = EvalProject(folder / "warm-up", "support")
    where = ("--tracking-uri", f"sqlite:///{shutil.copy(template, folder / 'warm-up.db')}")
    led = ("-e", "support", "--model", "offline", "--max-iterations", "1")
    with chdir(project.root), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        main(["all", "--run-id", RUN_ID, *where])
        main(["agent", *led, *where])


def _serve(template, folder):
    _warm_up(Path(template), Path(folder))
    gc.freeze()  # else each child's collector walks through all that was imported, and copies it
    tell = functools.partial(print, flush=True)
    tell("ready")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = 1
            try:
                code = _obey(json.loads(line))
            finally:
                os._exit(code)
        tell(child)
        _, status = os.waitpid(child, 0)
        tell(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _serve(*sys.argv[1:])
