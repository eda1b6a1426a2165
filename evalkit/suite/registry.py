"""What is left of a suite: its files, an evaluation in MLflow with all that belongs to it, issues.

The program writes it, from what confined runs said; no code of the suite runs here.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evalkit.adapters.store.evaluations import Said, criteria
from evalkit.adapters.store.runs import RunRecord
from evalkit.core.describe import QUALITY_CRITERIA_TAG
from evalkit.core.masking import mask_json
from evalkit.core.values import Json, canonical, derive_id
from evalkit.suite.model import DATASET_FILE, SCRIPT_FILE, Files, Row, Score, passes
from evalkit.suite.verification import Verification, verdicts
from evalkit.traces.case_selection import choose_cases

if TYPE_CHECKING:
    from evalkit.adapters.store import Store

MOST_CASES = 60
"""Rows that a suite's dataset holds: those that people judged come first among them."""

SESSION_TAG, KEPT_TAG = "evalkit.session", "evalkit.kept"
BOUND = "it uses other code of scorers.py, which MLflow would not keep with it"
CONFIG_FILE, CASES = "evaluation/eval.yaml", "evaluation/cases"
PERSONAL = {
    "email": r"[\w.+-]+@[\w-]+\.[\w.]+",
    "phone": r"(?<![\w.-])\+?\d{1,3}[ ./-]?\(?\d{2,4}\)?(?:[ ./-]\d{2,4}){2,3}(?![\w-])",
    "card": r"(?<!\d)(?:\d{4}[ -]?){3}\d{4}(?!\d)",
    "ip": r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])",
}
SCHEMA = """\
Each directory is a request that the agent had in production.

- input.yaml is what the agent is given. Fields:
{inputs}
- annotations.yaml is what is known of a right answer, for the judges alone. Fields:
{expectations}
  - recorded_answer: what the agent answered then
  - verdict: whether people accepted or rejected that answer; none where nobody judged it
  - people_said: their reasons
  - personal_data: kinds of personal data in the case, by field
  - source_trace_id: the trace in MLflow
"""


def bars(rows: Sequence[Row], found: Verification) -> dict[str, float]:
    """By scorer the share of the rows that pass as they were recorded, rounded down."""
    said = [verdicts(found.recorded.get(row.trace_id, ()), list(found.scorers)) for row in rows]
    rates = {}
    for name in found.scorers:
        given = [each[name] for each in said if each[name] is not None]
        if given:
            rates[name] = math.floor(sum(map(bool, given)) / len(given) * 100) / 100
    return rates


# -- files ------------------------------------------------------------------------------------


def suite_files(
    rows: Sequence[Row], found: Verification | None = None, experiment: str = "agent"
) -> dict[str, bytes]:
    """What stands beside ``scorers.py``: the script, the dataset, and an evalkit project.

    Args:
        rows: The rows, of which at most :data:`MOST_CASES` become cases.
        found: What its verification found, from which the bars come.
        experiment: The name of the experiment that the rows are from.
    """
    rows = choose_cases(rows, MOST_CASES)
    names = list(found.scorers) if found else []
    thresholds = bars(rows, found) if found else {}
    script = Path(__file__).with_name("run_eval.py").read_text("utf-8")
    script = script.replace('EXPERIMENT = "evalkit"', f"EXPERIMENT = {experiment + '-evalkit'!r}")
    script = script.replace(
        "THRESHOLDS: dict[str, float] = {}", f"THRESHOLDS: dict[str, float] = {thresholds!r}"
    )
    config: dict[str, Json] = {
        "name": experiment,
        "execution": {"mode": "case", "skill": experiment},
        "mlflow": {"experiment": f"{experiment}-evalkit"},
        "dataset": {"path": "cases", "schema": _schema(rows)},
        "judges": [{"name": name, "module": "scorers", "function": name} for name in names],
        "thresholds": {name: {"min_pass_rate": bar} for name, bar in thresholds.items()},
    }
    written = {
        SCRIPT_FILE: script.encode(),
        DATASET_FILE: "".join(f"{json.dumps(_record(row))}\n" for row in rows).encode(),
        CONFIG_FILE: _yaml(config),
    }
    for row in rows:
        place = f"{CASES}/{_slug(row.route)}-{derive_id(row.trace_id, length=10)}"
        written[f"{place}/input.yaml"] = _yaml(mask_json(dict(row.inputs)))
        written[f"{place}/annotations.yaml"] = _yaml(_annotations(row))
    return written


def _record(row: Row) -> Json:
    record = {
        "inputs": dict(row.inputs),
        "outputs": row.outputs,
        "expectations": dict(row.expectations),
    }
    return {**mask_json(record), "source_trace_id": row.trace_id}


def _annotations(row: Row) -> dict[str, Json]:
    expected: dict[str, Json] = mask_json(
        {
            **row.expectations,
            "recorded_answer": row.outputs,
            "verdict": row.verdict,
            "people_said": list(row.comments),
        }
    )
    given = {**row.inputs, "recorded_answer": row.outputs, **row.expectations}
    personal = {
        name: kinds
        for name, value in given.items()
        if (kinds := [k for k, form in PERSONAL.items() if re.search(form, canonical(value))])
    }
    marked = {"personal_data": personal} if personal else {}
    return {**expected, **marked, "source_trace_id": row.trace_id}


def _schema(rows: Sequence[Row]) -> str:
    def lines(names: Iterable[str]) -> str:
        return "\n".join(f"  - {name}: {name.replace('_', ' ')}" for name in dict.fromkeys(names))

    return SCHEMA.format(
        inputs=lines(name for row in rows for name in row.inputs),
        expectations=lines(name for row in rows for name in row.expectations),
    ).replace("\n\n  -", "\n  -")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:40] or "case"


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

    The experiment of the traces stays as it is. An evaluation that was killed is finished as the
    run that it was; a suite that has changed since is a run of its own, and what was killed goes.

    Args:
        store: The MLflow.
        source_experiment: The name of the traces' experiment.
        rows: The rows.
        files: The suite's files.
        found: What its verification found.
        session_id: The session that it is of.
        params: What else is to be known of it.

    Returns:
        ``experiment``, ``experiment_id``, ``run_id`` (the one that counts), ``dataset``,
        ``traces``, ``values`` (how many MLflow has), ``scorers`` (names that are registered), and
        ``not_registered`` (names of the others by the reason).

    Raises:
        StoreError: MLflow failed; doing the same again finishes.
    """
    rows = choose_cases([row for row in rows if row.trace is not None], MOST_CASES)
    name = f"{source_experiment}-evalkit"
    experiment_id = store.experiment(name, create=True)
    said = {row.trace_id: list(_said(found.recorded.get(row.trace_id, ()))) for row in rows}
    texts = {path: content.decode("utf-8", "replace") for path, content in files.items()}
    values_of = {trace_id: [each[1:3] for each in given] for trace_id, given in said.items()}
    key = derive_id(experiment_id, "suite", session_id, derive_id(canonical([values_of, texts])))
    record = _run_record(key, session_id, rows, found, params)
    traces: list[Any] = [row.trace for row in rows]
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
    figures = json.dumps(found.as_json(), indent=2, ensure_ascii=False)
    store.write_artifacts(run_id, {**files, "validation.json": figures.encode()})
    done: dict[str, Json] = {
        "dataset": dataset,
        "values": values,
        "scorers": [each for each, why in refused.items() if not why],
        "not_registered": {
            why: [each for each, reason in refused.items() if reason == why]
            for why in filter(None, refused.values())
        },
    }
    tags = {**record.tags, KEPT_TAG: canonical(done)}
    store.write_run(experiment_id, replace(record, tags=tags, end_ms=round(time.time() * 1000)))
    return {**report, "run_id": run_id, **done}


def _said(scores: Sequence[Score]) -> Iterator[Said]:
    """What scorers say of an answer; where one does not apply, nothing."""
    for score in scores:
        if score.error or passes(score.value) is not None:
            scorer = score.scorer.partition("/")[0]
            yield scorer, score.scorer, score.value, score.rationale, score.error


def _run_record(
    key: str, session_id: str, rows: Sequence[Row], found: Verification, params: Mapping[str, str]
) -> RunRecord:
    rates = bars(rows, found)
    noticed, made = (sum(each[at] for each in found.faults.values()) for at in (0, 1))
    rejected = found.people.get("rejected", {})
    figures = {
        **{f"{name}/pass_rate": rate for name, rate in rates.items()},
        "rows": found.rows,
        "good_rows": found.good_rows,
        **({"faults_noticed": noticed / made} if made else {}),
        **{f"rejected/{name}": rejected[name] for name in ("answers", "failed") if rejected},
    }
    now = round(time.time() * 1000)
    return RunRecord(
        key=key,
        name=f"suite {session_id}",
        params=params,
        metrics=[(name, float(value)) for name, value in figures.items()],
        tags={
            SESSION_TAG: session_id,
            "evalkit.verification": found.word,
            "mlflow.runType": "genai_evaluate",
            QUALITY_CRITERIA_TAG: criteria(
                [(f"{name}/pass_rate", "GTE", rate) for name, rate in rates.items()]
            ),
        },
        start_ms=now,
        end_ms=now,
    )


def keep_issues(
    store: Store, experiment_id: str, findings: Iterable[Mapping[str, Json]]
) -> list[dict[str, Json]]:
    """Findings as MLflow Issues of the traces' experiment, with their evidence; again is safe.

    Args:
        store: The MLflow.
        experiment_id: The experiment of the traces.
        findings: Of each ``name``, ``description`` and ``trace_ids``.

    Returns:
        Of each ``issue_id``, ``name`` and ``trace_ids``; empty where this MLflow has no issues.

    Raises:
        StoreError: MLflow failed; doing the same again finishes.
    """
    issues = []
    for finding in findings:
        name, evidence = str(finding["name"])[:200], [str(each) for each in finding["trace_ids"]]
        about = str(finding["description"])
        if (issue_id := store.write_issue(experiment_id, name, about, evidence)) is not None:
            issues.append({"issue_id": issue_id, "name": name, "trace_ids": evidence})
    return issues
