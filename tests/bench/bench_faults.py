"""What a suite by rules notices of faults, on stores that it has not seen.

    python tests/bench/bench_faults.py [STORE ...] [--splits 10]

A store is an sqlite file of MLflow, a file of traces as JSON lines, or the name of an agent of
tests/stores; by default all of these agents. Bounds are learned from one half of the good answers
and judged on the other, in random halves. A copy counts for a scorer only where the scorer does
not refuse the answer that it was made from. Scorers run in this process: they are our own rules.
"""

from __future__ import annotations

import argparse
import itertools
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
from typing import Any, TypeAlias

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
MOST_SENTENCES = 30
COUNTS = ("by", "refusing", "errors")
AUTHORS = ("", "blind", "known")
Json: TypeAlias = Any


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
        is_source = span.span_type in ("TOOL", "RETRIEVER")
        new = None
        if span.parent_id is None:
            new = outputs
        elif span in models[-1:] or (not is_source and said and said in str(span.outputs)):
            new = {"choices": [{"message": {"role": "assistant", "content": text}}]}
        if new is not None:
            form = span.to_dict()
            form["attributes"]["mlflow.spanOutputs"] = json.dumps(new)
        spans.append(span if new is None else Span.from_dict(form))
    return Trace(info=row.trace.info, data=TraceData(spans=spans))


def split(rows: Sequence[Row], seed: int, folder: Path) -> dict[str, Any]:
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
    good = [row for row in rows if row.is_good][:MOST_SENTENCES]
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


def measure(store: str, splits: int) -> dict[str, Any]:
    """All figures of a store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = rows_of(store, folder)
        runs = [split(rows, seed, folder) for seed in range(splits)]
        said, caught = one_sentence(rows, folder)
    label = store if store in stranger_stores.AGENTS else "/".join(Path(store).parts[-2:])
    good = sum(row.is_good for row in rows)
    return {"store": label, "good": good, "runs": runs, "sentence": said, "rejections": caught}


def summary(measured: Sequence[dict[str, Any]]) -> Table:
    """A row a store; the worst half is where least is noticed, or most refused."""
    table = Table("store", "good", "noticed", "worst", "blind", "known", title="All stores")
    for name in ("refused", "worst", "one sentence", "rejections"):
        table.add_column(name)
    for of in measured:
        noticed = {who: [share(r["kinds"].items(), who) for r in of["runs"]] for who in AUTHORS}
        refused = [run["refused"] for run in of["runs"]]
        figures = [statistics.mean(noticed[""]), min(noticed[""])]
        figures += [statistics.mean(noticed["blind"]), statistics.mean(noticed["known"])]
        figures += [statistics.mean(refused), max(refused), of["sentence"], of["rejections"]]
        table.add_row(of["store"], str(of["good"]), *(f"{figure:.0%}" for figure in figures))
    return table


def scorers(of: dict[str, Any]) -> Table:
    table = Table("scorer", "refuses: mean", "worst", "notices", "breaks", title=of["store"])
    runs = of["runs"]
    for name in sorted({name for run in runs for key in COUNTS for name in run[key]}):
        shares = [run["refusing"][name] / run["judged"] for run in runs]
        hits, broken = (sum(run[key][name] for run in runs) for key in ("by", "errors"))
        figures = f"{statistics.mean(shares):.1%}", f"{max(shares):.1%}"
        table.add_row(name, *figures, str(hits), str(broken))
    return table


def kinds(measured: Sequence[dict[str, Any]]) -> Table:
    """What is noticed of each kind, by store."""
    table = Table("fault", "author", "all", *(of["store"][:10] for of in measured))
    for fault in faults.FAULTS:
        hits = [[h for r in of["runs"] for h in r["kinds"].get(fault.name, [])] for of in measured]
        pooled = list(itertools.chain(*hits))
        shares = [f"{statistics.mean(each):.0%}" if each else "" for each in (pooled, *hits)]
        table.add_row(fault.name, fault.author, *shares)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stores", nargs="*", default=stranger_stores.AGENTS)
    parser.add_argument("--splits", type=int, default=10)
    asked = parser.parse_args()
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    console = Console(width=160)
    measured = [measure(store, asked.splits) for store in asked.stores]
    for table in (summary(measured), kinds(measured), *map(scorers, measured)):
        console.print(table)


if __name__ == "__main__":
    main()
