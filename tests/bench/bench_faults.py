"""What a suite by rules notices of faults, on stores that it has not seen.

    python tests/bench/bench_faults.py [STORE ...] [--splits 10]

A store is an sqlite file of MLflow, a file of traces as JSON lines, or the name of an agent of
tests/stores; by default all of these agents. Bounds are learned from one half of the good answers
and judged on the other, in random halves. A copy counts for a scorer only where the scorer does
not refuse the answer that it was made from. Rules learn nothing from kinds of faults, so to leave
one out means the mean without it: its range says how much hangs on a single kind.
Scorers run in this process: they are our own rules.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import runpy
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mlflow
import pandas as pd
import stranger_stores
from mlflow.entities import Feedback, Span, Trace, TraceData
from mlflow.genai.scorers import Scorer

from evalkit.suite.answer_edits import main_text
from evalkit.suite.faults import FAULTS, copies
from evalkit.suite.generate import rule_suite
from evalkit.suite.model import MOST_REFUSED, Row, passes
from evalkit.traces.sample import row_of

COPIES_A_KIND = 6
MOST_SENTENCES = 30
HALF_OF = {kind: half for half, kinds in FAULTS.items() for kind in kinds}


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


class Judge:
    """Scorers of the suite that rules make of some rows; each question is asked once."""

    def __init__(self, rows: Sequence[Row], folder: Path) -> None:
        for name, content in rule_suite(rows).items():
            (folder / Path(name).name).write_bytes(content)
        sys.path[:0] = [str(folder)]
        self.scorers: list[Scorer] = runpy.run_path(str(folder / "scorers.py"))["SCORERS"]
        sys.path.remove(str(folder))
        self.known: dict[tuple[str, str], set[str]] = {}

    def refusing(self, row: Row, outputs: Any) -> set[str]:
        """Scorers that fail an answer in a row's place."""
        key = (row.trace_id, json.dumps(outputs, sort_keys=True, default=str))
        if key not in self.known:
            trace = with_outputs(row, outputs)
            self.known[key] = {s.name for s in self.scorers if fails(s, row, outputs, trace)}
        return self.known[key]


def fails(scorer: Scorer, row: Row, outputs: Any, trace: Trace) -> bool:
    expectations = dict(row.expectations) or None
    said = scorer.run(
        inputs=dict(row.inputs), outputs=outputs, expectations=expectations, trace=trace
    )
    parts = said if isinstance(said, list) else [said]
    return any(passes(p.value if isinstance(p, Feedback) else p) is False for p in parts)


def with_outputs(row: Row, outputs: Any) -> Trace:
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
            reply = {"choices": [{"message": {"role": "assistant", "content": text}}]}
            form["attributes"]["mlflow.spanOutputs"] = json.dumps(reply)
        spans.append(Span.from_dict(form))
    return Trace(info=row.trace.info, data=TraceData(spans=spans))


def split(rows: Sequence[Row], seed: int, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Learn from one half of the good rows, judge the other: copies, good answers, one for all."""
    good = sorted((row for row in rows if row.is_good), key=lambda row: row.trace_id)
    random.Random(seed).shuffle(good)  # noqa: S311 - halves, no secrets
    half = len(good) // 2
    judge = Judge([*good[:half], *(row for row in rows if not row.is_good)], folder)
    judged = {row.trace_id: row for row in good[half:]}
    refusing = {key: judge.refusing(row, row.outputs) for key, row in judged.items()}
    made = []
    for kind, probe in copies([*judged.values()], COPIES_A_KIND):
        by = judge.refusing(judged[probe.trace_id], probe.outputs) - refusing[probe.trace_id]
        made.append({"split": seed, "kind": kind, "half": HALF_OF[kind], "noticed": bool(by)})
    counts = {scorer.name: 0 for scorer in judge.scorers}
    counts |= Counter(name for by in refusing.values() if by for name in (*by, "any scorer"))
    shares = [(name, count / len(judged)) for name, count in counts.items()]
    said = one_sentence(judge, good[half:][:MOST_SENTENCES])
    return pd.DataFrame(made), pd.DataFrame(shares, columns=["scorer", "refused"]), said


def one_sentence(judge: Judge, good: Sequence[Row]) -> float:
    """The share of rows where a scorer fails the answer that most scorers pass on most of them."""
    refused = {
        row.trace_id: [
            judge.refusing(other, row.outputs) for other in good if other.inputs != row.inputs
        ]
        for row in good[:MOST_SENTENCES]
    }
    best = min(refused.values(), key=lambda by_row: sum(map(len, by_row)) / max(1, len(by_row)))
    return sum(map(bool, best)) / max(1, len(best))


def measure(store: str, splits: int) -> tuple[dict[str, Any], pd.DataFrame, pd.Series]:
    """A store's figures, its copies, and who refuses too many good answers; worst: of a split."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = rows_of(store, folder)
        runs = [split(rows, seed, folder) for seed in range(splits)]
        judge, good = Judge(rows, folder), [row for row in rows if row.is_good]
        said = one_sentence(judge, good[:MOST_SENTENCES])
        rejected = [row for row in rows if row.verdict == "rejected" and not row.failed]
        caught = pd.Series(
            [bool(judge.refusing(row, row.outputs)) for row in rejected], dtype=float
        )
    *frames, unseen = zip(*runs, strict=True)
    made, judged = map(pd.concat, frames)
    label = store if store in stranger_stores.AGENTS else "/".join(Path(store).parts[-2:])
    figures = {"store": label, "good": str(len(good))}
    for half, of in (("all", made), *made.groupby("half")):
        shares = of.groupby("split").noticed.mean()
        figures |= {half: shares.mean(), f"{half} worst": shares.min()}
    without = [made[made.kind != kind].noticed.mean() for kind in made.kind.unique()]
    figures |= {"least without a kind": min(without), "most without a kind": max(without)}
    figures |= {"one sentence": said, "one sentence to new requests": pd.Series(unseen).mean()}
    figures |= {"rejections": caught.mean()}
    refused = judged.groupby("scorer").refused.agg(["mean", "max"])
    over = refused[refused["mean"] > MOST_REFUSED]
    shares = over.apply(lambda of: f"{of['mean']:.0%} ({of['max']:.0%})", axis=1)
    return figures, made.assign(store=label), shares.astype(str).rename(label)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stores", nargs="*", default=stranger_stores.AGENTS)
    parser.add_argument("--splits", type=int, default=10)
    asked = parser.parse_args()
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    measured = [measure(store, asked.splits) for store in asked.stores]
    figures, made, refused = zip(*measured, strict=True)
    by_store = pd.concat(made).pivot_table(
        "noticed", ["half", "kind"], "store", margins=True, margins_name="all"
    )
    sys.stdout.write("Noticed; refusals over 5%, in splits that have the scorer: mean (worst)\n\n")
    for table in (pd.DataFrame(figures).set_index("store").T, by_store, pd.concat(refused, axis=1)):
        sys.stdout.write(table.to_string(float_format="{:.0%}".format, na_rep="") + "\n\n")


if __name__ == "__main__":
    main()
