"""Writes an evaluation project of any size, the same each time.

    python tests/bench/generate.py DIR --cases 200 --events 60 --judges 5
    python tests/bench/generate.py DIR --log-mb 20

The second form writes one case whose log is that large. The logs are those of the demo's log
writer, so their tokens and cost add up; two in a hundred tool answers hold a made-up secret.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from evalkit.core.values import Json
from evalkit.demo.conversation import Call, Reply, Turn
from evalkit.demo.figures import Figures, as_json, combined, run_result
from evalkit.demo.logs import Session, as_lines
from evalkit.demo.scoring import Scores, summarise
from evalkit.demo.script import MADE_UP_SECRETS

NAME = "bench-eval"
RUN_ID = "2026-05-12-bench"
START = dt.datetime(2026, 5, 12, 6, tzinfo=dt.UTC)
AROUND_TURNS = 3  # the events that are no tool turn: init, the last answer, result
FEWEST_EVENTS = 6
SPEECHLESS = 7  # one turn in so many calls a tool without a word: about 64 spans in 60 events
SECRETIVE = 50
TEXT = (
    "parcel invoice shelf lamp carrier depot scan label refund voucher order ledger balance "
    "address window cable dimmer spare part stock return receipt table"
)
WORDS = TEXT.split()
SCORES: tuple[tuple[str, str, tuple[Json, ...]], ...] = (
    ("order_quoted", "check", (True, True, True, False)),
    ("resolution", "llm", (5, 4, 4, 3, 2)),
    ("grounding", "llm", (1.0, 0.75, 0.5)),
    ("tone", "llm", ("polite", "neutral", "rude")),
    ("within_budget", "builtin", (True,)),
)


def write_project(
    directory: Path, *, cases: int, events: int, judges: int, tracking_uri: str, log_mb: float
) -> None:
    """Write the project.

    Args:
        directory: An empty or new folder: cases of another project in it would count, too.
        cases: How many cases, each with a log.
        events: How many events a log has.
        judges: How many judges score each case.
        tracking_uri: The MLflow server that ``eval.yaml`` names.
        log_mb: Size of each log in millions of bytes, instead of ``events``; 0: by events.
    """
    run = directory / "eval" / "runs" / NAME / RUN_ID
    figures: dict[str, Figures] = {}
    for number in range(cases):
        case = f"case-{number:05}"
        folder = directory / "eval" / "cases" / case
        _write(folder / "input.yaml", _yaml(_inputs(number)))
        _write(folder / "annotations.yaml", _yaml({"expected_outcome": _prose(number, 40)}))
        session = _session(number, events=events, least_bytes=round(log_mb * 1_000_000))
        _write(run / "cases" / case / "stdout.log", session.text())
        seconds = session.main.clock_ms / 1000
        figures[case] = Figures(0, seconds, session.main.messages, session.spent)
    scores = {case: dict(_scores(number, judges)) for number, case in enumerate(figures)}
    summary = {**summarise(RUN_ID, scores), "run_metrics": combined(figures.values()).rates()}
    _write(run / "summary.yaml", _yaml(summary))
    _write(run / "run_result.json", as_json(run_result("bench", "{message}", "2.1.204", figures)))
    _write(directory / "eval.yaml", _yaml(_config(judges, tracking_uri)))


def _config(judges: int, tracking_uri: str) -> dict[str, Json]:
    schema = (
        "- input.yaml: what the skill reads, with 'message' and 'order'\n"
        "- annotations.yaml: 'expected_outcome', for the judges, never copied to the workspace\n"
    )
    return {
        "name": NAME,
        "skill": "bench",
        "execution": {"mode": "case", "arguments": "{message}"},
        "runner": {"type": "claude-code"},
        "mlflow": {"experiment": NAME, "tracking_uri": tracking_uri},
        "dataset": {"path": "eval/cases", "schema": schema},
        "judges": [
            {"name": name, "builtin": "cost_budget"}
            if kind == "builtin"
            else {"name": name, "check" if kind == "check" else "prompt": "return True"}
            for name, kind, _ in _judges(judges)
        ],
        "thresholds": {"order_quoted": {"min_pass_rate": 0.9}} if judges else {},
    }


def _inputs(number: int) -> dict[str, Json]:
    order = {"number": f"QB-{number:05}", "total": 20 + number % 300, "currency": "EUR"}
    return {"message": f"About order QB-{number:05}: {_prose(number, 30)}", "order": order}


def _judges(count: int) -> Iterator[tuple[str, str, tuple[Json, ...]]]:
    for index in range(count):
        name, kind, values = SCORES[index % len(SCORES)]
        again = index // len(SCORES)
        yield f"{name}_{again}" if again else name, kind, values


def _scores(number: int, judges: int) -> Iterator[tuple[str, dict[str, Json]]]:
    for index, (name, kind, values) in enumerate(_judges(judges)):
        value = values[(number * 7 + index) % len(values)]
        rationale = _prose(number + index, 12)
        yield name, {"value": value, "rationale": rationale, "judge_type": kind}


def _session(number: int, *, events: int, least_bytes: int) -> Session:
    session = Session(
        f"{RUN_ID}/{number}", START + dt.timedelta(minutes=number), skill="bench", stamps="results"
    )
    session.open(str(_inputs(number)["message"]))
    turns = _endless(number) if least_bytes else _fitting(number, events)
    written = size = 0
    for turn in turns:
        session.turn(turn)
        size += len(as_lines(session.events[written:])) if least_bytes else 0
        written = len(session.events)
        if least_bytes and size >= least_bytes:
            break
    answer = f"QB-{number:05} is settled. {_prose(number, 30)}"
    session.turn(Turn(answer))
    session.close(answer)
    return session


def _fitting(number: int, events: int) -> Iterator[Turn]:
    """Tool turns of three events, or of two where nothing is said, that fill up the log."""
    left = events - AROUND_TURNS
    wordless = left // (SPEECHLESS * 3)
    wordless += (left - 2 * wordless) % 3 * 2 % 3  # so that the others come out even
    spoken = (left - 2 * wordless) // 3
    for index in range(spoken + wordless):
        yield _turn(number, index, spoken=index >= wordless)


def _endless(number: int) -> Iterator[Turn]:
    index = 0
    while True:
        yield _turn(number, index, spoken=index % SPEECHLESS != 0)
        index += 1


def _turn(number: int, index: int, *, spoken: bool) -> Turn:
    answer = _prose(number + index, 90)
    if (number + index) % SECRETIVE == SECRETIVE - 1:
        answer += "\nGITHUB_TOKEN=" + MADE_UP_SECRETS["@GITHUB_TOKEN@"]
    command = {"command": f"bin/orders step QB-{number:05} --part {index}", "description": "Look"}
    failed = index % 17 == 16
    call = Call("Bash", command, Reply(answer, failed=failed), seconds=0.2 + index % 5)
    return Turn(_prose(index, 20) if spoken else "", calls=(call,))


def _prose(seed: int, words: int) -> str:
    """Text that differs by seed, without chance."""
    return " ".join(WORDS[(seed * 31 + i * (3 + seed % 5)) % len(WORDS)] for i in range(words))


def _yaml(value: Mapping[str, Json] | Scores) -> str:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # 5,000 cases in seconds
    return str(yaml.dump(value, Dumper=dumper, allow_unicode=True, width=100))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    """Read the command line and write the project."""
    parser = argparse.ArgumentParser(description="Write an evaluation project of any size.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--events", type=int, default=60, help="events a log")
    parser.add_argument("--judges", type=int, default=5)
    parser.add_argument("--tracking-uri", default="http://127.0.0.1:5000")
    parser.add_argument("--log-mb", type=float, default=0.0, help="one case, with a log so large")
    args = parser.parse_args()
    if args.events < FEWEST_EVENTS:
        parser.error(f"--events must be at least {FEWEST_EVENTS}")
    if args.directory.exists() and any(args.directory.iterdir()):
        parser.error(f"{args.directory} is not empty")
    began = time.perf_counter()
    write_project(
        args.directory,
        cases=1 if args.log_mb else args.cases,
        events=args.events,
        judges=args.judges,
        tracking_uri=args.tracking_uri,
        log_mb=args.log_mb,
    )
    print(f"{args.directory}: run {RUN_ID}, written in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
