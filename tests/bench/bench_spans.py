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
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agentlogs import Story, answer, as_lines, build_lines, finish, init, say, use

ROUNDS = 5
SHAPES = {  # bytes of a tool's answer, what most of a log is made of; share of the size
    "short answers (200 B)": (200, 1),
    "long answers (20 kB)": (20_000, 1),
    "middling answers (2 kB), a quarter": (2_000, 0.25),
    "middling answers, as large": (2_000, 1),
    "middling answers, twice": (2_000, 2),
}


def log(size: float, bytes_a_result: int) -> list[bytes]:
    """A log of about ``size`` bytes."""
    sample = sum(map(len, as_lines(Story(1, bytes_a_result).tell(60))))
    return as_lines(Story(2, bytes_a_result).tell(max(2, int(60 * size // sample))))


def report(name: str, lines: list[bytes]) -> None:
    def rate(work: Callable[[], object]) -> float:
        """Megabytes a CPU second, at best."""
        best = float("inf")
        for _ in range(ROUNDS):
            begin = time.process_time()
            work()
            best = min(best, time.process_time() - begin)
        return size / best

    size = sum(map(len, lines)) / 1e6
    build = rate(lambda: build_lines(lines))
    parsers = {"json": json.loads, "msgspec": msgspec.json.decode}
    rates = {name: rate(lambda of=of: [of(line) for line in lines]) for name, of in parsers.items()}
    alone = "   ".join(f"{by} {fast:6.1f} ({build / fast:.2f} of it)" for by, fast in rates.items())
    print(
        f"{name:34} {size:6.1f} MB {len(lines):7,} lines"
        f" {len(build_lines(lines).spans):6,} spans {build:7.1f} MB/s   {alone}"
    )


def high_water() -> float:
    """The most memory that this process ever took, in MiB; as Linux counts it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def peak(name: str, lines: list[bytes]) -> None:
    """Print how much memory a process that builds this log takes more than before."""
    path = Path(f"/tmp/bench-spans-{os.getpid()}.log")  # noqa: S108 - nobody else's
    path.write_bytes(b"".join(lines))
    lines.clear()
    if not (child := os.fork()):
        Path("/proc/self/clear_refs").write_text("5")  # the high water from here on
        before = high_water()
        with path.open("rb") as file:
            build_lines(file)
        print(f"{name}: {high_water() - before:.0f} MiB", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    path.unlink()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mb", type=float, default=20)
    size = arguments.parse_args().mb * 1e6
    large = answer("t1", "x y " * 15_000_000)
    print("peak memory:", flush=True)
    peak("a log of that size", log(size, 2_000))
    peak("one line of 60 MB", as_lines([init(), say("m1", use("t1", "Bash")), large, finish()]))
    for name, (length, share) in SHAPES.items():
        report(name, log(share * size, length))


if __name__ == "__main__":
    main()
