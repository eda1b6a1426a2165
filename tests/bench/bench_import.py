"""Imports generated Claude Code sessions into SQLite, twice, and prints time and memory.

    python tests/bench/bench_import.py [--sessions 1000] [--mb 1.0]

Memory is the peak of all processes together: the command's own and its children's, sampled ten
times a second. The second import must write nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from agentlogs import Story, as_lines, as_session

TURNS = 40
MOST_MB = 400


def write_sessions(folder: Path, count: int, megabytes: float) -> int:
    """Write sessions, in ten projects; returns their bytes."""
    written = 0
    for number in range(count):
        story = Story(number, bytes_a_result=int(megabytes * 1e6 / TURNS / 6.5)).tell(TURNS)
        name = f"{number:08d}-0000-4000-8000-000000000000"
        path = folder / f"-home-ann-shop{number % 10}" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        written += path.write_bytes(b"".join(as_lines(as_session(story, name))))
    return written


def run(folder: Path, uri: str) -> tuple[float, float, dict[str, int]]:
    """One import: its seconds, its peak in MB and its report."""
    command = [sys.executable, "-m", "evalkit", "import", str(folder), "-e", "bench"]
    start, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as out:
        process = psutil.Popen([*command, "--tracking-uri", uri, "--json"], stdout=out)
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                family = (process, *process.children(recursive=True))
                peak = max(peak, sum(each.memory_info().rss for each in family))
            with contextlib.suppress(subprocess.TimeoutExpired, psutil.TimeoutExpired):
                process.wait(0.1)
        out.seek(0)
        report = json.loads(out.read().splitlines()[-1])
    return time.monotonic() - start, peak / 2**20, report


def main() -> None:
    """Measure both imports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--mb", type=float, default=1.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "projects")
        folder.mkdir()
        size = write_sessions(folder, asked.sessions, asked.mb)
        print(f"{asked.sessions} sessions, {size / asked.sessions / 1e6:.2f} MB each")
        for written in (asked.sessions, 0):
            seconds, peak, report = run(folder, f"sqlite:///{temporary}/mlflow.db")
            print(
                f"{seconds:6.0f} s, peak {peak:5.0f} MB, "
                f"{report['written']} written, {report['traces']} traces stand"
            )
            assert (report["written"], peak <= MOST_MB) == (written, True), report


if __name__ == "__main__":
    main()
