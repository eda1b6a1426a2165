"""Imports generated Claude Code sessions into SQLite, twice, and prints time and memory.

    python tests/bench/bench_import.py [--sessions 1000] [--mb 1.0]

Memory is the peak of all processes together: the command's own and its children's, sampled from
/proc ten times a second. The second import must write nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

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
        data = b"".join(as_lines(as_session(story, name)))
        path = folder / f"-home-ann-shop{number % 10}" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        written += len(data)
    return written


def memory_kb(root: int) -> int:
    """What a process and all below it hold."""
    parents = {}
    for each in Path("/proc").glob("[0-9]*"):
        try:
            stat = (each / "stat").read_text().rpartition(") ")[2].split()
            parents[int(each.name)] = (int(stat[1]), int((each / "statm").read_text().split()[1]))
        except (OSError, IndexError):
            continue

    def below(pid: int) -> Iterator[int]:
        yield pid
        for child, (parent, _) in parents.items():
            if parent == pid:
                yield from below(child)

    pages = sum(parents[pid][1] for pid in below(root) if pid in parents)
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def run(folder: Path, uri: str) -> dict[str, object]:
    """One import: its report, seconds and peak."""
    command = [sys.executable, "-m", "evalkit", "import", str(folder), "-e", "bench"]
    start, peak = time.monotonic(), 0
    with (
        tempfile.TemporaryFile("w+") as out,
        subprocess.Popen([*command, "--tracking-uri", uri, "--json"], stdout=out) as process,
    ):
        while process.poll() is None:
            peak = max(peak, memory_kb(process.pid))
            time.sleep(0.1)
        out.seek(0)
        report = json.loads(out.read().splitlines()[-1])
    seconds = time.monotonic() - start
    return {"seconds": seconds, "mb": peak / 1024, **report}


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
        uri = f"sqlite:///{temporary}/mlflow.db"
        for number, written in enumerate((asked.sessions, 0), start=1):
            done = run(folder, uri)
            print(
                f"import {number}: {done['seconds']:6.0f} s, peak {done['mb']:5.0f} MB, "
                f"{done['written']} written, {done['traces']} traces stand"
            )
            assert done["written"] == written, done
            assert float(str(done["mb"])) <= MOST_MB


if __name__ == "__main__":
    main()
