"""The program's own checks of a suite: nothing is done because a model says so.

The suite's code runs on a :class:`~evalkit.core.agent.suite.Workbench`; what it answers is held
against the traces of the experiment, and against itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from evalkit.core.agent.answer import Path
from evalkit.core.agent.damage import damages
from evalkit.core.agent.faults import COPY, dataset_faults, in_words, script_faults, secret_faults
from evalkit.core.agent.requests import Recorded
from evalkit.core.agent.suite import SCORERS_FILE, ScriptRun, Workbench
from evalkit.core.agent.trial import Trial
from evalkit.core.values import Json

Files: TypeAlias = Mapping[str, bytes]


class Recordings(Protocol):
    """What an experiment's traces hold."""

    def of(self, trace_id: str) -> Recorded | None:
        """The request and the answer of a trace; None where there is no such trace."""
        ...

    def place_of(self, route: str) -> Path:
        """Where the answers of a route have their words."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """What the program found.

    Attributes:
        ok: Whether it passes.
        failure: What is wrong, where, and what to do next, at most 4,000 characters; empty where
            it passes.
        evidence: What proves it, a short sentence each.
        details: The figures, as JSON: ``rows``, ``good_rows``, ``scorers`` (of each its
            ``values``, ``good_passed`` [rows, of], ``catches`` {damage: [caught, of]}),
            ``damages`` {damage: [caught by any scorer, of]}, ``script``.
    """

    ok: bool
    failure: str = ""
    evidence: tuple[str, ...] = ()
    details: Mapping[str, Json] = field(default_factory=dict)


def check_dataset(bench: Workbench, files: Files, recorded: Recordings) -> Check:
    """Check the dataset: imports, has the agreed shape, and holds what real traces hold.

    Args:
        bench: Where the suite's code runs.
        files: The suite's files.
        recorded: What the experiment's traces hold.
    """
    loaded = bench.load(files, scorers=False)
    if loaded.error:
        advice = "Repair the file, or have write_dataset write it anew."
        return _failed("evaluation/eval_dataset.py cannot be used:", [loaded.error], advice)
    faults = [*dataset_faults(loaded.rows, recorded.of), *secret_faults(files)]
    if faults:
        return _failed("The dataset does not hold:", faults, f"Correct every row: {COPY}.")
    traced = sum(row.source_trace_id is not None for row in loaded.rows)
    proof = (
        f"{len(loaded.rows)} rows: {traced} hold exactly what traces of the experiment hold, "
        f"{len(loaded.rows) - traced} are made by hand"
    )
    return Check(ok=True, evidence=(proof,), details={"rows": len(loaded.rows), "traced": traced})


def check_scorer(
    bench: Workbench,
    files: Files,
    recorded: Recordings,
    target: str,
    claims: Sequence[str] = (),
) -> Check:
    """Check one scorer: values for all rows, good rows pass, damaged ones are noticed.

    Args:
        bench: Where the suite's code runs.
        files: The suite's files.
        recorded: What the experiment's traces hold.
        target: The scorer's name.
        claims: The damages that it was planned to notice.
    """
    if target.encode() not in files.get(SCORERS_FILE, b""):
        advice = f"Write the scorer `{target}` and add it to SCORERS."
        return _failed(f"{SCORERS_FILE} has no scorer named {target}.", [], advice)
    # All scorers are run: importing MLflow takes longer, and the bench remembers the answer.
    trial = _try(bench, files, recorded)
    if isinstance(trial, Check):
        return trial
    trial = trial.of(target)
    faults = [*trial.faults([target], {target: claims}), *secret_faults(files)]
    if faults:
        advice = f"Correct `{target}`, then check again."
        return _failed("The scorer does not hold:", faults, advice, trial.details())
    return Check(ok=True, evidence=trial.proofs(), details=trial.details())


def check_script(bench: Workbench, files: Files, recorded: Recordings, analysed: str = "") -> Check:
    """Check the script: one MLflow run, with the value of every scorer for every row.

    Args:
        bench: Where the suite's code runs.
        files: The suite's files.
        recorded: What the experiment's traces hold.
        analysed: The name of the experiment that is analysed, into which it may not write.
    """
    trial = _try(bench, files, recorded)
    if isinstance(trial, Check):
        return trial
    return _script_check(bench.run_script(files), trial, analysed)


def check_suite(
    bench: Workbench,
    files: Files,
    recorded: Recordings,
    expected: Sequence[str],
    *,
    claims: Mapping[str, Sequence[str]] | None = None,
    analysed: str = "",
) -> Check:
    """Check the whole suite, and which damage which scorer notices.

    Args:
        bench: Where the suite's code runs.
        files: The suite's files.
        recorded: What the experiment's traces hold.
        expected: The scorers that it has to have.
        claims: The damages that each was planned to notice.
        analysed: The name of the experiment that is analysed.
    """
    dataset = check_dataset(bench, files, recorded)
    if not dataset.ok:
        return dataset
    trial = _try(bench, files, recorded)
    if isinstance(trial, Check):
        return trial
    scorers = list(dict.fromkeys([*expected, *trial.passed]))
    faults = trial.faults(scorers, claims or {})
    if faults:
        advice = "Correct these scorers; leave what works as it is."
        return _failed("The suite's scorers do not hold:", faults, advice, trial.details())
    script = _script_check(bench.run_script(files), trial, analysed)
    if not script.ok:
        return script
    return Check(
        ok=True,
        evidence=(*dataset.evidence, *trial.proofs(), *script.evidence),
        details={**dataset.details, **trial.details(), **script.details},
    )


def _try(bench: Workbench, files: Files, recorded: Recordings) -> Trial | Check:
    """Try all scorers; a failed check where they could not be run."""
    loaded = bench.load(files, scorers=False)
    if loaded.error:
        advice = "The dataset is wanted first: repair the file, or have write_dataset write it."
        return _failed("evaluation/eval_dataset.py cannot be used:", [loaded.error], advice)
    good = {
        position: source.route
        for position, row in enumerate(loaded.rows)
        if row.source_trace_id and (source := recorded.of(row.source_trace_id)) and source.ok
    }
    copies = damages(loaded.rows, good, recorded.place_of)
    scores = bench.score(files, [*loaded.rows, *(copy.row for copy in copies)])
    if isinstance(scores, str):
        return _failed(f"{SCORERS_FILE} cannot be used:", [scores], "Correct the file.")
    split = len(loaded.rows)
    return Trial(loaded.rows, good, copies, scores[:split], scores[split:])


def _script_check(run: ScriptRun, trial: Trial, analysed: str) -> Check:
    faults = list(script_faults(run, trial.keys, trial.clean, analysed))
    if faults:
        return _failed("evaluation/run_eval.py does not hold:", faults, "Correct the script.")
    values = sum(len(scores) for scores in trial.clean)
    # no seconds: what a model is told has to be the same when its session is replayed
    proof = f"run_eval.py left one MLflow run with {values} values for {len(trial.rows)} rows"
    figures = {"seconds": round(run.seconds, 1), "values": values, "metrics": dict(run.metrics)}
    return Check(ok=True, evidence=(proof,), details={"script": figures})


def _failed(
    headline: str, faults: Sequence[str], advice: str, details: Mapping[str, Json] | None = None
) -> Check:
    return Check(ok=False, failure=in_words(headline, faults, advice), details=details or {})
