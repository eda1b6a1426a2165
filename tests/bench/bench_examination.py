"""How long an experiment's examination takes, against merely paging its traces out of MLflow.

    python tests/bench/bench_examination.py [--traces 5000] [--keep DIRECTORY] [--rounds 3]

Traces are made up at random, of an agent with several routes, tools that fail now and then and a
conversation that grows with every step; judges have assessed one in ten. Making them takes a few
minutes: ``--keep`` names a directory in which the database stays for the next time. Paging sends
the same requests as the examination and leaves the spans as MLflow gives them. Both take turns,
since on a busy machine only ratios within one run mean anything; the figure is the ratio of the
CPU seconds, each at best.
"""

from __future__ import annotations

import argparse
import base64
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_MODEL_CATALOG_URI="")

from evalkit.adapters.store import connect, observing
from evalkit.core.examination import as_report, as_text, examine

EXPERIMENT = "a busy shop"
BEGIN_NS = 1_778_579_000_000_000_000
SECOND_NS = 1_000_000_000
A_TIME = 100
LIMIT = 1.3
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
    """Write the traces; every tenth gets what a judge said of it."""
    import mlflow
    from mlflow.entities import AssessmentSource, Feedback, Span

    store = connect(uri)
    experiment_id = store.experiment(EXPERIMENT, create=True)
    tracking = store._gateway.tracking
    shop = Shop()
    numbers = iter(range(1, traces + 1))
    while some := list(islice(numbers, A_TIME)):
        spans = [Span.from_dict(span) for number in some for span in shop.trace(number)]
        tracking.log_spans(experiment_id, spans)
        print(f"\r{some[-1]:,} of {traces:,} traces made", end="", file=sys.stderr)
    print(file=sys.stderr)
    mlflow.set_tracking_uri(uri)
    judge = AssessmentSource("LLM_JUDGE", "correctness")
    for number in range(1, traces + 1, 10):
        trace_id = f"tr-{number:032x}"
        tracking.create_assessment(
            Feedback(trace_id=trace_id, name="correct", value=number % 3 > 0, source=judge)
        )


def page(uri: str) -> None:
    """Read every trace with its spans, and do nothing with them."""
    store = connect(uri)
    experiment_id = store.experiment(EXPERIMENT, create=True)
    infos: Iterator[Any] = observing._infos(store._gateway, experiment_id, 10**6)
    while some := [info.trace_id for info in islice(infos, observing.AT_A_TIME)]:
        store._gateway.tracking.batch_get_traces(some)


def look(uri: str) -> str:
    """Examine the experiment; the report as a model gets it."""
    store = connect(uri)
    experiment_id = store.experiment(EXPERIMENT, create=True)
    examination = examine(store.observe(experiment_id, most=10**6, outline=True))
    return as_text(as_report(examination, (experiment_id, EXPERIMENT)))


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU and on the wall."""
    gc.collect()  # neither pays for what the other left
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def measure(uri: str, rounds: int) -> None:
    """Print what both take."""
    text = look(uri)  # MLflow opens a database slowly the first time
    pages, looks = [], []
    for _ in range(rounds):
        pages.append(seconds(lambda: page(uri)))
        looks.append(seconds(lambda: look(uri)))
    for name, taken in (("paging", pages), ("examining", looks)):
        print(f"{name:10} {min(taken)[0]:7.2f} s cpu {min(wall for _, wall in taken):7.2f} s wall")
    ratio = min(looks)[0] / min(pages)[0]
    verdict = "within" if ratio <= LIMIT else "beyond"
    print(f"ratio {ratio:.2f}, {verdict} the {LIMIT} that it may be")
    print(f"report {len(text.encode()):,} bytes")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--traces", type=int, default=5000)
    arguments.add_argument("--keep", type=Path)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        folder = given.keep or Path(fresh)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"shop-{given.traces}.db"
        if not path.exists():
            making = path.with_suffix(".part")
            making.unlink(missing_ok=True)
            fill(f"sqlite:///{making}", given.traces)
            making.rename(path)
        measure(f"sqlite:///{path}", given.rounds)


if __name__ == "__main__":
    main()
