"""How long an experiment's survey takes, against merely paging its traces out of MLflow.

    python tests/bench/bench_survey.py [--traces 20000] [--keep DIRECTORY] [--rounds 2]

Traces are made up at random, of an agent with several routes, tools that fail now and then and a
conversation that grows with every step; judges have assessed one in ten, people one in fifty. The
first thousand are written through MLflow, the others are copies of these under other ids, made in
the database: ``--keep`` names a directory in which it stays for the next time. Paging sends the
same requests as the survey's pass and leaves the spans as MLflow gives them. Each measurement is a
process of its own, in turns, since on a busy machine only ratios within one run mean anything; the
figures are the ratio of the CPU seconds, each at best, and the largest resident memory.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_MODEL_CATALOG_URI="")

from evalkit.store import connect, traces_read
from evalkit.traces.report import opening
from evalkit.traces.sample import survey

EXPERIMENT = "a busy shop"
BEGIN_NS = 1_778_579_000_000_000_000
SECOND_NS = 1_000_000_000
A_TIME = 100
WRITTEN = 1_000
LIMIT = 1.3
MEMORY_MB = 400
ROUTES = ("answer_question", "refund", "track_parcel", "write_summary")
TOOLS = ("lookup_order", "search_policies", "issue_refund", "parcel_status", "send_mail")
ERRORS = ("order {n} not found", "HTTP 429 from https://api.shop/{n}", "timed out after {n} s")
WORDS = [
    "order",
    "parcel",
    "invoice",
    "refund",
    "lamp",
    "table",
    "broken",
    "late",
    "address",
    "customer",
    "please",
    "policy",
    "days",
    "paid",
    "shipped",
    "warehouse",
    "return",
    "label",
    "payment",
    "coupon",
    "account",
    "would",
    "could",
    "about",
    "because",
    "whether",
]


class Shop:
    """Makes up traces.

    Attributes:
        chance: Where all that is random comes from.
    """

    def __init__(self) -> None:
        self.chance = random.Random(7)  # noqa: S311 - the same traces each time, no secret

    def text(self, words: int) -> str:
        """So many words."""
        return " ".join(self.chance.choices(WORDS, k=words))

    def trace(self, number: int) -> list[dict[str, Any]]:
        """The spans of a trace, in MLflow's form."""
        spans = _Spans(number, BEGIN_NS + number * 60 * SECOND_NS)
        route = self.chance.choice(ROUTES)
        question = f"Where is my order QM-{number % 900}? {self.text(12)}"
        broken = self.chance.random() < 0.04
        messages = [
            {"role": "system", "content": self.text(150)},
            {"role": "user", "content": question},
        ]
        reply = self.text(self.chance.randint(40, 200))
        spans.add(route, "AGENT", {"question": question, "language": "en"}, reply, broken)
        for step in range(self.chance.randint(1, 4)):
            spans.add(
                "chat", "CHAT_MODEL", {"messages": list(messages)}, said(self.text(20)), False
            )
            tool = self.chance.choice(TOOLS)
            found = {"rows": [{"id": n, "text": self.text(30)} for n in range(5)]}
            spans.add(
                tool, "TOOL", {"order": f"QM-{number}"}, found, self.chance.random() < 0.05, under=2
            )
            messages += [
                {"role": "assistant", "content": self.text(20)},
                {"role": "tool", "content": json.dumps(found), "tool_call_id": f"c{step}"},
            ]
        spans.add("chat", "CHAT_MODEL", {"messages": messages}, said(reply), broken)
        return spans.made


class _Spans:
    def __init__(self, number: int, begin_ns: int) -> None:
        self.made: list[dict[str, Any]] = []
        self._number = number
        self._begin = begin_ns

    def add(
        self, name: str, kind: str, inputs: Any, outputs: Any, failed: bool, under: int = 1
    ) -> None:
        number = len(self.made) + 1
        message = ERRORS[self._number % len(ERRORS)].format(n=self._number)
        attributes = {
            "mlflow.traceRequestId": f"tr-{self._number:032x}",
            "mlflow.spanType": kind,
            "mlflow.spanInputs": inputs,
            "mlflow.spanOutputs": None if failed else outputs,
        }
        if kind == "CHAT_MODEL":
            attributes["mlflow.llm.model"] = "claude-sonnet-4-5"
            attributes["mlflow.chat.tokenUsage"] = {
                "input_tokens": 900 + number,
                "output_tokens": 120,
                "total_tokens": 1020 + number,
            }
        begin = self._begin + (number - 1) * SECOND_NS // 4
        whole = SECOND_NS * (2 + self._number % 17)
        self.made.append(
            {
                "trace_id": _id(self._number, 16),
                "span_id": _id(number, 8),
                "parent_span_id": _id(min(under, number - 1), 8) if number > 1 else None,
                "name": name,
                "start_time_unix_nano": begin,
                "end_time_unix_nano": begin + (whole if number == 1 else SECOND_NS // 5),
                "events": [],
                "status": {
                    "code": "STATUS_CODE_ERROR" if failed else "STATUS_CODE_OK",
                    "message": message if failed else "",
                },
                "attributes": {key: json.dumps(value) for key, value in attributes.items()},
            }
        )


def said(text: str) -> dict[str, Any]:
    """A chat model's answer in OpenAI's form."""
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}


def _id(number: int, size: int) -> str:
    return base64.b64encode(number.to_bytes(size, "big")).decode()


def fill(uri: str, traces: int) -> None:
    """Write the traces; some of them get what a judge or a person said."""
    import mlflow
    from mlflow.entities import AssessmentSource, Feedback, Span

    store = connect(uri)
    experiment_id = store.experiment(EXPERIMENT, create=True)
    tracking = store._gateway.tracking
    shop = Shop()
    numbers = iter(range(1, min(traces, WRITTEN) + 1))
    while some := list(islice(numbers, A_TIME)):
        spans = [Span.from_dict(span) for number in some for span in shop.trace(number)]
        tracking.log_spans(experiment_id, spans)
        print(f"\r{some[-1]:,} traces written", end="", file=sys.stderr)
    print(file=sys.stderr)
    mlflow.set_tracking_uri(uri)
    judge = AssessmentSource("LLM_JUDGE", "correctness")
    person = AssessmentSource("HUMAN", "ann")
    for number in range(1, min(traces, WRITTEN) + 1, 10):
        trace_id, is_good = f"tr-{number:032x}", number % 3 > 0
        said = [Feedback(trace_id=trace_id, name="correct", value=is_good, source=judge)]
        if number % 50 == 1:
            said += [
                Feedback(trace_id=trace_id, name="ok", value=is_good, source=person, rationale="so")
            ]
        for each in said:
            tracking.create_assessment(each)


def multiply(path: Path, times: int) -> None:
    """Copy all traces in the database so many times, under other ids and with other numbers."""
    base = sqlite3.connect(path)
    keyed = {"trace_info": "request_id", "spans": "trace_id", "assessments": "trace_id"}
    keyed |= {"trace_tags": "request_id", "trace_request_metadata": "request_id"}
    for table, key in keyed.items():
        info = base.execute(f"PRAGMA table_xinfo({table})").fetchall()
        columns = [name for _, name, *_, hidden in info if not hidden]
        for copy in range(1, times):
            new = {key: f"'tr-{copy:04x}' || substr({key}, 8)"}
            new |= {"content": f"replace(content, 'QM-', 'QM-{copy}')"} if table == "spans" else {}
            if table == "assessments":
                new["assessment_id"] = f"'a-{copy:04x}' || substr(assessment_id, 7)"
            told = ", ".join(new.get(name, name) for name in columns)
            base.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {told} FROM {table}"  # noqa: S608
                f" WHERE {key} LIKE 'tr-0000%'"
            )
    base.commit()
    base.close()


def page(uri: str) -> None:
    """Read every trace with its spans, and do nothing with them."""
    store = connect(uri)
    experiment_id = store.experiment(EXPERIMENT, create=True)
    infos: Iterator[Any] = traces_read.search(store._gateway, experiment_id, "", 10**6)
    while some := [info.trace_id for info in islice(infos, traces_read.AT_A_TIME)]:
        store._gateway.tracking.batch_get_traces(some)


def look(uri: str) -> None:
    """Survey the experiment, and write the model's opening message."""
    store = connect(uri)
    experiment_id = store.experiment(EXPERIMENT, create=True)
    found = survey(store, experiment_id)
    print(len(found.rows), "rows,", len(opening(found)), "characters", file=sys.stderr)


def measured(path: Path, what: str) -> tuple[float, float, float]:
    """Seconds of CPU, seconds on the wall and megabytes of a process that does one of both."""
    begin = time.perf_counter()
    command = [sys.executable, __file__, "--only", what, "--keep", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    cpu, megabytes = map(float, done.stdout.split())
    return cpu, time.perf_counter() - begin, megabytes


def measure(path: Path, rounds: int) -> None:
    """Print what both take."""
    taken: dict[str, list[tuple[float, float, float]]] = {"page": [], "look": []}
    for _ in range(rounds):
        for what, found in taken.items():
            found.append(measured(path, what))
    best = {what: min(found) for what, found in taken.items()}
    for what, (cpu, wall, megabytes) in best.items():
        print(f"{what:10} {cpu:7.2f} s cpu {wall:7.2f} s wall {megabytes:5.0f} MB")
    ratio, memory = best["look"][0] / best["page"][0], best["look"][2]
    print(f"ratio {ratio:.2f} (at most {LIMIT}), {memory:.0f} MB (at most {MEMORY_MB})")
    sys.exit(ratio > LIMIT or memory > MEMORY_MB)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--traces", type=int, default=20_000)
    arguments.add_argument("--keep", type=Path)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--only", choices=["page", "look"])
    given = arguments.parse_args()
    if given.only:
        # what opening the database takes is no part of either
        connect(f"sqlite:///{given.keep}").experiment(EXPERIMENT, create=True)
        begin = time.process_time()
        {"page": page, "look": look}[given.only](f"sqlite:///{given.keep}")
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(time.process_time() - begin, used)
        return
    with tempfile.TemporaryDirectory() as fresh:
        folder = given.keep or Path(fresh)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"shop-{given.traces}.db"
        if not path.exists():
            making = path.with_suffix(".part")
            making.unlink(missing_ok=True)
            fill(f"sqlite:///{making}", given.traces)
            multiply(making, given.traces // min(given.traces, WRITTEN))
            making.rename(path)
        measure(path, given.rounds)


if __name__ == "__main__":
    main()
