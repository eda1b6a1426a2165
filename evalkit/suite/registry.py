"""What is left of a suite: its files, an evaluation in MLflow with all that belongs to it, issues.

The program writes it, from what confined runs said; no code of the suite runs here.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evalkit.entities import QUALITY_CRITERIA_TAG
from evalkit.jsonable import Json, canonical, derive_id
from evalkit.masking import mask_json
from evalkit.runs.metrics import criteria
from evalkit.store.evaluations import Said
from evalkit.store.runs import RunRecord
from evalkit.suite.model import (
    DATASET_FILE,
    SCRIPT_FILE,
    Files,
    Row,
    ScorerValue,
    Verification,
    passes,
    verdict,
)
from evalkit.suite.word_lists import PERSONAL
from evalkit.traces.sample import choose_cases

if TYPE_CHECKING:
    from evalkit.store import Store

SESSION_TAG, KEPT_TAG = "evalkit.session", "evalkit.kept"
BOUND = "it uses other code of scorers.py, which MLflow would not keep with it"
SCHEMA = """\
Each directory is a request that the agent had in production. The fields of input.yaml are what the
agent is given; those of annotations.yaml are expected: what is known of a right answer, for judges.
"""


def bars(rows: Sequence[Row], found: Verification) -> dict[str, float]:
    """By scorer the share of the rows that pass as they were recorded, rounded down."""
    rates = {}
    for name in found.scorers:
        said = [verdict(found.recorded[row.trace_id][name]) for row in rows]
        if given := [each for each in said if each is not None]:
            rates[name] = math.floor(sum(given) / len(given) * 100) / 100
    return rates


def suite_files(
    rows: Sequence[Row], found: Verification, experiment: str, source: str = ""
) -> dict[str, bytes]:
    """What stands beside ``scorers.py``: the script, the dataset, and an evalkit project."""
    rows, lines, own = choose_cases(rows), list[str](), f"{experiment}-evalkit"
    thresholds = bars(rows, found)
    script = Path(__file__).with_name("run_eval.py").read_text("utf-8")
    script = script.replace('EXPERIMENT = "evalkit"', f"EXPERIMENT = {own!r}")
    script = script.replace('SOURCE = ""', f"SOURCE = {source!r}")
    script = script.replace("float] = {}", f"float] = {thresholds!r}")
    config: dict[str, Json] = {
        "name": experiment,
        "execution": {"mode": "case", "skill": experiment},
        "mlflow": {"experiment": own},
        "dataset": {"path": "cases", "schema": SCHEMA},
        "judges": [{"name": n, "module": "scorers", "function": n} for n in found.scorers],
        "thresholds": {name: {"min_pass_rate": bar} for name, bar in thresholds.items()},
    }
    written = {SCRIPT_FILE: script.encode(), "evaluation/eval.yaml": _yaml(config)}
    for row in rows:
        names, source_id = ("inputs", "outputs", "expectations"), {"source_trace_id": row.trace_id}
        case = mask_json({name: getattr(row, name) for name in names})
        lines.append(f"{json.dumps({**case, **source_id})}\n")
        expected = {**case["expectations"], "recorded_answer": case["outputs"]}
        personal = {
            name: kinds
            for name, value in {**case["inputs"], **expected}.items()
            if (kinds := [kind for kind, form in PERSONAL.items() if form.search(canonical(value))])
        }
        said = mask_json({"verdict": row.verdict, "people_said": list(row.comments)})
        marked = {"personal_data": personal} if personal else {}
        slug = re.sub(r"[^a-z0-9]+", "-", row.route.casefold()).strip("-")[:40] or "case"
        place = f"evaluation/cases/{slug}-{derive_id(row.trace_id, length=10)}"
        written[f"{place}/input.yaml"] = _yaml(case["inputs"])
        written[f"{place}/annotations.yaml"] = _yaml({**expected, **said, **marked, **source_id})
    return {**written, DATASET_FILE: "".join(lines).encode()}


def _yaml(value: Json) -> bytes:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return text.encode()


# -- MLflow -----------------------------------------------------------------------------------


def keep(
    store: Store,
    source_experiment: str,
    rows: Sequence[Row],
    files: Files,
    found: Verification,
    *,
    session_id: str,
    params: Mapping[str, str],
) -> dict[str, Json]:
    """Keep a suite in MLflow: dataset, evaluation, feedback, bars, scorers; again is safe.

    An evaluation that was killed is finished as the run that it was; a suite that has changed since
    is a run of its own, and what was killed goes. Of a StoreError doing the same again finishes.

    Returns:
        ``experiment``, ``experiment_id``, ``run_id`` (the one that counts), ``dataset``,
        ``traces``, ``values`` (how many MLflow has), ``scorers`` (names that are registered), and
        ``not_registered`` (names of the others by the reason).
    """
    rows = choose_cases([row for row in rows if row.trace is not None])
    name = f"{source_experiment}-evalkit"
    experiment_id = store.experiment(name, create=True)
    said = {row.trace_id: list(_said(found.recorded[row.trace_id])) for row in rows}
    texts = {path: content.decode("utf-8", "replace") for path, content in files.items()}
    values_of = {trace_id: [each[1:3] for each in given] for trace_id, given in said.items()}
    key = derive_id(experiment_id, "suite", session_id, derive_id(canonical([values_of, texts])))
    traces: list[Any] = [row.trace for row in rows]
    now = round(time.time() * 1000)
    rates = {f"{scorer}/pass_rate": rate for scorer, rate in bars(rows, found).items()}
    metrics = rates | {"rows": float(found.rows), "good_rows": float(found.good_rows)}
    if found.faults:
        metrics["faults_noticed"] = found.noticed[0] / found.noticed[1]
    for figure in ("answers", "failed"):
        metrics[f"rejected/{figure}"] = float(found.people["rejected"][figure])
    record = RunRecord(
        key=key,
        name=f"suite {session_id}",
        params=params,
        metrics=[*metrics.items()],
        tags={
            SESSION_TAG: session_id,
            "evalkit.verification": found.word,
            "mlflow.runType": "genai_evaluate",
            QUALITY_CRITERIA_TAG: criteria((key, "GTE", rate) for key, rate in rates.items()),
        },
        start_ms=now,
        end_ms=now,
    )
    report = {"experiment": name, "experiment_id": experiment_id, "traces": len(traces)}
    kept = store.find_run(experiment_id, key)
    if kept is not None and KEPT_TAG in kept.tags:
        return {**report, "run_id": kept.run_id, **json.loads(kept.tags[KEPT_TAG])}
    store.delete_unfinished(experiment_id, record.name, key)
    begun = replace(record, status="RUNNING", metrics=(), end_ms=0)
    run_id = store.write_run(experiment_id, begun).run_id
    if dataset := store.dataset_of_traces(name, experiment_id, traces):
        store.link_dataset(run_id, experiment_id, dataset)
    values = store.write_evaluation(run_id, experiment_id, traces, said)
    refused = dict.fromkeys((*found.scorers, *found.judges), BOUND)
    refused |= store.register_scorers(experiment_id, found.serialized)
    by_reason = defaultdict[str, list[str]](list)
    for each, why in refused.items():
        by_reason[why].append(each)
    figures = json.dumps(found.as_json(), indent=2, ensure_ascii=False)
    store.write_artifacts(run_id, {**files, "validation.json": figures.encode()})
    done: dict[str, Json] = {"dataset": dataset, "values": values}
    done |= {"scorers": by_reason.pop("", []), "not_registered": dict(by_reason)}
    tags = {**record.tags, KEPT_TAG: canonical(done)}
    store.write_run(experiment_id, replace(record, tags=tags, end_ms=round(time.time() * 1000)))
    return {**report, "run_id": run_id, **done}


def _said(scores: Mapping[str, Sequence[ScorerValue]]) -> Iterator[Said]:
    """What scorers say of an answer; where one does not apply, nothing."""
    for scorer, score in ((name, each) for name in scores for each in scores[name]):
        if score.error or passes(score.value) is not None:
            yield scorer, score.scorer, score.value, score.rationale, score.error
