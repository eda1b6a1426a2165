"""What a suite by rules notices of faults, on stores that it has not seen.

    python tests/bench/bench_faults.py [STORE ...] [--splits 10] [--kinds]

A store is an sqlite file of MLflow, a file of traces as JSON lines, or the name of an agent of
tests/stores; by default all of these agents. Bounds are learned from one half of the good answers
and judged on the other, in random halves. A copy counts for a scorer only where the scorer does
not refuse the answer that it was made from. Scorers run in this process: they are our own rules.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import runpy
import statistics
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mlflow
import stranger_stores
from mlflow.entities import Feedback, Span, Trace, TraceData
from mlflow.genai.scorers import Scorer
from rich.console import Console
from rich.table import Table

from evalkit.suite import faults, generate
from evalkit.suite.answer_edits import main_text
from evalkit.suite.model import SCORERS_FILE, Row, passes
from evalkit.traces.sample import row_of

COPIES_A_KIND = 6
Json = object


def rows_of(store: str, folder: Path) -> list[Row]:
    """All traces of a store that show an input, as rows."""
    if store.endswith(".jsonl"):
        lines = Path(store).read_text("utf-8").splitlines()
        traces = [Trace.from_dict(json.loads(line)) for line in lines if line.strip()]
    else:
        uri = stranger_stores.write(store, folder)[0] if store in stranger_stores.AGENTS else ""
        mlflow.set_tracking_uri(uri or f"sqlite:///{store}")
        found = [e.experiment_id for e in mlflow.search_experiments()]
        traces = mlflow.search_traces(locations=found, return_type="list")
    return [row for trace in traces if (row := row_of(trace)) is not None]


def scorers_of(rows: Sequence[Row], folder: Path) -> list[Scorer]:
    """Scorers of the suite that rules make of these rows."""
    path = folder / "scorers.py"
    path.write_bytes(generate.rule_suite(rows)[SCORERS_FILE])
    return list(runpy.run_path(str(path))["SCORERS"])


class Judge:
    """Asks scorers about an answer in a row's place, each question once."""

    def __init__(self, scorers: Iterable[Scorer]) -> None:
        self.scorers = list(scorers)
        self.errors: Counter[str] = Counter()
        self.known: dict[tuple[str, str], dict[str, bool | None]] = {}

    def verdicts(self, row: Row, outputs: Json) -> dict[str, bool | None]:
        key = (row.trace_id, json.dumps(outputs, sort_keys=True, default=str))
        if key not in self.known:
            trace = with_outputs(row, outputs)
            self.known[key] = {s.name: self.ask(s, row, outputs, trace) for s in self.scorers}
        return self.known[key]

    def ask(self, scorer: Scorer, row: Row, outputs: Json, trace: Trace) -> bool | None:
        try:
            said = scorer.run(
                inputs=dict(row.inputs),
                outputs=outputs,
                expectations=dict(row.expectations) or None,
                trace=trace,
            )
        except Exception:  # noqa: BLE001 - a scorer that breaks is counted, and notices nothing
            self.errors[scorer.name] += 1
            return None
        parts = said if isinstance(said, list) else [said]
        values = [passes(p.value if isinstance(p, Feedback) else p) for p in parts]
        return None if None in values and False not in values else False not in values

    def refusing(self, row: Row, outputs: Json) -> set[str]:
        return {name for name, good in self.verdicts(row, outputs).items() if good is False}


def with_outputs(row: Row, outputs: Json) -> Trace:
    """The row's trace with another answer: of its root span, and of whatever gave it that."""
    spans, said = [], main_text(row)
    models = [s for s in row.trace.data.spans if s.span_type in ("LLM", "CHAT_MODEL")]
    text = outputs if isinstance(outputs, str) else json.dumps(outputs, ensure_ascii=False)
    for span in row.trace.data.spans:
        form = span.to_dict()
        is_source = span.span_type in ("TOOL", "RETRIEVER")
        if span.parent_id is None:
            form["attributes"]["mlflow.spanOutputs"] = json.dumps(outputs)
        elif span in models[-1:] or (not is_source and said and said in str(span.outputs)):
            message = {"role": "assistant", "content": text}
            form["attributes"]["mlflow.spanOutputs"] = json.dumps(
                {"choices": [{"message": message}]}
            )
        spans.append(Span.from_dict(form))
    return Trace(info=row.trace.info, data=TraceData(spans=spans))


def split(rows: Sequence[Row], seed: int, folder: Path) -> dict[str, object]:
    """Learn from one half of the good rows, judge the other."""
    good = sorted((row for row in rows if row.is_good), key=lambda row: row.trace_id)
    random.Random(seed).shuffle(good)  # noqa: S311 - halves, no secrets
    learned, judged = good[: len(good) // 2], good[len(good) // 2 :]
    rejected = [row for row in rows if not row.is_good]
    judge = Judge(scorers_of([*learned, *rejected], folder))
    refused = {row.trace_id: judge.refusing(row, row.outputs) for row in judged}
    of = {row.trace_id: row for row in judged}
    kinds: dict[str, list[bool]] = defaultdict(list)
    by: Counter[str] = Counter()
    for name, probe in faults.copies(judged, COPIES_A_KIND):
        row = of[probe.trace_id]
        noticing = judge.refusing(row, probe.outputs) - refused[row.trace_id]
        kinds[name].append(bool(noticing))
        by.update(noticing)
    return {
        "kinds": kinds,
        "by": by,
        "refused": statistics.mean(bool(names) for names in refused.values()),
        "refusing": Counter(name for names in refused.values() for name in names),
        "judged": len(judged),
        "errors": judge.errors,
    }


def one_sentence(rows: Sequence[Row], folder: Path) -> tuple[float, float]:
    """Shares: of rows where a scorer fails the most accepted answer; of rejections that fail."""
    good = [row for row in rows if row.is_good]
    judge = Judge(scorers_of(rows, folder))
    rated = {
        row.trace_id: sum(
            len(judge.scorers) - len(judge.refusing(other, row.outputs)) for other in good
        )
        for row in good
    }
    best = max(good, key=lambda row: rated[row.trace_id])
    failed = [bool(judge.refusing(row, best.outputs)) for row in good if row is not best]
    rejected = [row for row in rows if row.verdict == "rejected" and not row.failed]
    caught = [bool(judge.refusing(row, row.outputs)) for row in rejected]
    return statistics.mean(failed), statistics.mean(caught) if caught else float("nan")


def share(pairs: Iterable[tuple[str, list[bool]]], author: str = "") -> float:
    authors = {fault.name: fault.author for fault in faults.FAULTS}
    noticed = [hit for name, hits in pairs if author in ("", authors[name]) for hit in hits]
    return statistics.mean(noticed) if noticed else float("nan")


def measure(store: str, splits: int, console: Console, *, with_kinds: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = rows_of(store, folder)
        good = sum(row.is_good for row in rows)
        runs = [split(rows, seed, folder) for seed in range(splits)]
        said, caught = one_sentence(rows, folder)
    table = Table("", "mean", "worst", title=f"{store}: {len(rows)} rows, {good} good")
    for label, author in (("noticed", ""), ("  blind kinds", "blind"), ("  known kinds", "known")):
        figures = [share(run["kinds"].items(), author) for run in runs]
        table.add_row(label, f"{statistics.mean(figures):.1%}", f"{min(figures):.1%}")
    refused = [run["refused"] for run in runs]
    table.add_row("good answers refused", f"{statistics.mean(refused):.1%}", f"{max(refused):.1%}")
    table.add_row("one sentence: rows failed", f"{said:.1%}", "")
    table.add_row("people's rejections failed", f"{caught:.1%}", "")
    console.print(table)
    scorers = Table("scorer", "refuses good: mean", "worst", "copies noticed", "breaks")
    names = sorted(
        {name for run in runs for key in ("by", "refusing", "errors") for name in run[key]}
    )
    for name in names:
        shares = [run["refusing"][name] / run["judged"] for run in runs]
        hits, broken = (sum(run[key][name] for run in runs) for key in ("by", "errors"))
        scorers.add_row(
            name, f"{statistics.mean(shares):.1%}", f"{max(shares):.1%}", str(hits), str(broken)
        )
    console.print(scorers)
    if with_kinds:
        kinds = Table("fault", "author", "noticed", "copies")
        for fault in faults.FAULTS:
            hits = [hit for run in runs for hit in run["kinds"].get(fault.name, [])]
            if hits:
                kinds.add_row(
                    fault.name, fault.author, f"{statistics.mean(hits):.0%}", str(len(hits))
                )
        console.print(kinds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stores", nargs="*", default=stranger_stores.AGENTS)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--kinds", action="store_true", help="also what is noticed of each kind")
    asked = parser.parse_args()
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    for store in asked.stores:
        measure(store, asked.splits, Console(width=100), with_kinds=asked.kinds)


if __name__ == "__main__":
    main()
