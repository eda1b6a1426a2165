"""evalkit as a job has it: from the wheel, started by the name of an entry point."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from servers import clean_environment

Task = tuple[str, str, Sequence[str]]

AS_TASKS = """
import json, sys
from importlib.metadata import distribution

for package, entry_point, argv in json.load(sys.stdin):
    (entry,) = distribution(package).entry_points.select(name=entry_point)
    sys.argv[1:] = argv
    entry.load()()
"""
"""How wheel tasks start: what the function returns is of no interest."""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it."""

    python: Path
    site: Path

    def entry_points(self):
        """The distribution's name, and the names of its entry points."""
        (metadata,) = self.site.glob("*.dist-info")
        name = re.search(r"^Name: (.+)$", (metadata / "METADATA").read_text("utf-8"), re.MULTILINE)
        assert name
        listed = ConfigParser()
        listed.read(metadata / "entry_points.txt", "utf-8")
        return name[1], frozenset(listed["console_scripts"])

    def run_tasks(self, *tasks, cwd, env=None):
        """Start entry points as wheel tasks do, one after the other, until one raises an error.

        They share a process, as importing MLflow takes seconds.
        """
        return subprocess.run(
            [self.python, "-c", AS_TASKS],
            cwd=cwd,
            env=clean_environment(**(env or {})),
            input=json.dumps(tasks),
            capture_output=True,
            text=True,
            check=False,
        )

    def start_task(self, task, *, cwd, env):
        """Start an entry point as a wheel task does, to be waited for or killed."""
        process = subprocess.Popen(
            [self.python, "-c", AS_TASKS],
            cwd=cwd,
            env=clean_environment(**env),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        process.stdin.write(json.dumps([task]))
        process.stdin.close()
        process.stdin = None
        return process
