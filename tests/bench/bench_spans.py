"""How fast logs become traces, against the JSON parsers alone on the same bytes.

    python tests/bench/bench_spans.py [--mb 20]

Logs are told at random (see ``agentlogs.Story``): messages on several lines each, parallel
tools, subagents in subagents, every answer repeated in ``tool_use_result``, and a made-up secret
in two answers of a hundred. Masking is part of what is measured. Times are CPU seconds of this
process, the best of some rounds: on a busy machine only ratios within one run mean anything.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agentlogs import Story, answer, as_lines, build_lines, finish, init, say, use

ROUNDS = 5
SHAPES = {  # bytes of a tool's answer: what most of a log is made of
    "short answers (200 B)": 200,
    "middling answers (2 kB)": 2_000,
    "long answers (20 kB)": 20_000,
}


def log(size: int, bytes_a_result: int) -> list[bytes]:
    """A log of about ``size`` bytes."""
    sample = sum(map(len, as_lines(Story(1, bytes_a_result).tell(60))))
    return as_lines(Story(2, bytes_a_result).tell(max(2, 60 * size // sample)))


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds that it takes, at best."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def parse_all(lines: list[bytes], parse: Callable[[bytes], object]) -> None:
    for line in lines:
        parse(line)


def report(name: str, lines: list[bytes]) -> None:
    size = sum(map(len, lines)) / 1e6
    build = seconds(lambda: build_lines(lines))
    standard = seconds(lambda: parse_all(lines, json.loads))
    fast = seconds(lambda: parse_all(lines, msgspec.json.decode))
    spans = len(build_lines(lines).spans)
    print(
        f"{name:26} {size:6.1f} MB {len(lines):7,} lines {spans:6,} spans"
        f" {size / build:7.1f} MB/s   json {size / standard:6.1f} ({standard / build:.2f} of it)"
        f"   msgspec {size / fast:6.1f} ({fast / build:.2f} of it)"
    )


def peak(kind: str, size_mb: float) -> float:
    """How much memory a process that builds one log takes more than before, in MiB."""
    size = int(size_mb * 1e6)
    if kind == "line":
        one = answer("t1", "x y " * (size // 4))
        lines = as_lines([init(), say("m1", use("t1", "Bash")), one, finish()])
    else:
        lines = log(size, 2_000)
    with tempfile.NamedTemporaryFile(suffix=".log") as file:
        file.writelines(lines)
        file.flush()
        command = [sys.executable, __file__, "--measure", file.name]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(path: str) -> None:
    """Print the memory that building a file's trace takes, in MiB."""
    before = high_water()
    with Path(path).open("rb") as file:
        build_lines(file)
    print(high_water() - before)


def high_water() -> float:
    """The most memory that this process ever took, in MiB; as Linux counts it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mb", type=float, default=20)
    arguments.add_argument("--measure", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        measure(given.measure)
        return
    for name, length in SHAPES.items():
        report(name, log(int(given.mb * 1e6), length))
    print("\nlinear in the size of the log:")
    for share in (0.25, 0.5, 1, 2):
        report("middling answers (2 kB)", log(int(given.mb * share * 1e6), 2_000))
    print("\npeak memory:")
    print(f"a log of {given.mb:g} MB: {peak('log', given.mb):.0f} MiB")
    print(f"one line of 60 MB: {peak('line', 60):.0f} MiB")


if __name__ == "__main__":
    main()
