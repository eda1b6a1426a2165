"""What is wrong with a suite, in words from which its repair can start. Empty where nothing is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from evalkit.core.agent.damage import Damaged
from evalkit.core.agent.difference import difference, same, shown
from evalkit.core.agent.requests import Recorded
from evalkit.core.agent.suite import Row, Score, ScriptRun, ToolStep
from evalkit.core.agent.verdicts import DamageTable, is_good, rank
from evalkit.core.masking import mask_json, mask_text
from evalkit.core.values import Json, canonical

MOST_CHARS = 4_000
MOST_OF_ONE = 1_200

COPY = "use write_dataset, which copies what the trace holds"


def row_key(row: Row, position: int) -> str:
    """What a row's trace is tagged with in MLflow: its source trace, or where it stands."""
    return row.source_trace_id or f"row-{position}"


def in_words(headline: str, faults: Sequence[str], advice: str) -> str:
    """Faults as one text of bounded size: what is wrong, where, and what to do next."""
    text = headline
    for position, fault in enumerate(faults):
        line = f"\n- {_end(fault)}"
        if len(text) + len(line) > MOST_CHARS - len(advice) - 60:
            text += f"\n- … and {len(faults) - position} more"
            break
        text += line
    return f"{text}\n{advice}"


def _end(text: str) -> str:
    """A text without its middle where it is long: what it is about, and how a traceback ends."""
    if len(text) <= MOST_OF_ONE:
        return text
    return f"{text[:200]} … {text[-(MOST_OF_ONE - 200) :]}"


# -- the dataset ------------------------------------------------------------------------------


def dataset_faults(
    rows: Sequence[Row], recorded: Callable[[str], Recorded | None]
) -> Iterator[str]:
    """Where a dataset does not hold what the experiment's traces hold, or repeats itself.

    Args:
        rows: The rows of the dataset.
        recorded: What a trace of the experiment holds; None where there is no such trace.
    """
    if not rows:
        yield "DATASET has no rows"
    seen: dict[str, int] = {}
    for position, row in enumerate(rows):
        first = seen.setdefault(canonical(row.inputs), position)
        if first != position:
            yield f"rows {first} and {position} have the same inputs: keep one of them"
        yield from _row_faults(row, f"row {position}", recorded)


def _row_faults(row: Row, place: str, recorded: Callable[[str], Recorded | None]) -> Iterator[str]:
    if not row.inputs:
        yield f"{place} has no inputs"
    if secret := difference(mask_json(_content(row)), _content(row)):
        yield f"{place} holds a secret, which has to be masked: {secret}"
    if row.source_trace_id is None:
        if row.outputs is not None or row.steps:
            yield f"{place} has outputs but no source_trace_id: nobody recorded them; leave None"
        return
    source = recorded(row.source_trace_id)
    if source is None:
        yield (
            f"{place} cites the trace {row.source_trace_id}, which the experiment does not have: "
            "cite traces that analyze_experiment or mlflow_query names"
        )
    elif invented := _invented(row, source.row):
        yield f"{place} does not hold what its trace {row.source_trace_id} holds: {invented}"


def _content(row: Row) -> dict[str, Json]:
    return {
        "inputs": row.inputs,
        "outputs": row.outputs,
        "expectations": row.expectations,
        "steps": [_step(step) for step in row.steps],
    }


def _step(step: ToolStep) -> dict[str, Json]:
    return {"name": step.name, "failed": step.failed, "output": step.output}


def _invented(row: Row, source: Row) -> str:
    """How a row differs from its trace, whose secrets it may have masked."""
    held = {**_content(source), "seconds": source.seconds, "expectations": None}
    given = {**_content(row), "seconds": row.seconds, "expectations": None}
    return difference(mask_json(held), mask_json(given))


def secret_faults(files: Mapping[str, bytes]) -> Iterator[str]:
    """Files that hold what looks like a key or a token, comments included."""
    for path, content in files.items():
        _, kinds = mask_text(content.decode("utf-8", "replace"))
        if kinds:
            yield f"{path} holds a secret ({', '.join(kinds)}): take it out"


# -- scorers ----------------------------------------------------------------------------------


def score_faults(
    scorers: Iterable[str], rows: Sequence[str], scores: Sequence[Sequence[Score]]
) -> Iterator[str]:
    """Where scorers fail or give no valid value; of each scorer the first such row.

    Args:
        scorers: The scorers that have to give values.
        rows: What each row is called.
        scores: The scores of each row.
    """
    for scorer in scorers:
        bad = [
            (row, _score_fault([each for each in given if each.scorer == scorer]))
            for row, given in zip(rows, scores, strict=True)
        ]
        wrong = [(row, fault) for row, fault in bad if fault]
        if wrong:
            row, fault = wrong[0]
            yield f"{scorer} on {row} (and on {len(wrong) - 1} more of {len(rows)}): {fault}"


def _score_fault(scores: Sequence[Score]) -> str:
    if not scores:
        return "it gave no value"
    failed = next((each for each in scores if each.error), None)
    if failed:
        return f"it failed: {failed.error}"
    if invalid := [each for each in scores if rank(each.value) is None]:
        return f"its value {shown(invalid[0].value)} is no verdict"
    return ""


def verdict_faults(
    passed: Mapping[str, tuple[int, int]], table: DamageTable, claims: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Scorers that fail most good rows, that notice nothing, or not what they were planned for.

    Args:
        passed: For each scorer how many good rows it lets pass, and how many there are.
        table: What each scorer noticed.
        claims: The damages that a scorer has to notice.
    """
    for scorer, (good, of) in passed.items():
        if of and good * 2 < of:
            yield (
                f"{scorer} lets only {good} of {of} rows pass whose traces ended well: either it "
                "is too strict, or it takes outputs for something else than they are"
            )
        caught = table.scorers.get(scorer, {})
        if caught and not any(each.caught for each in caught.values()):
            yield (
                f"{scorer} notices no damage at all (tried on good outputs: {', '.join(caught)}): "
                "its value has to become worse (True to False, a lower number) when what it judges "
                "is damaged"
            )
            continue
        for damage in claims.get(scorer, ()):
            if damage in caught and not caught[damage].caught:
                yield f"{scorer} was planned to notice {damage!r} but notices none of it"


def passed_by(scores: Sequence[Sequence[Score]], good: Iterable[int]) -> dict[str, tuple[int, int]]:
    """For each scorer how many good rows it lets pass, and how many there are."""
    names = dict.fromkeys(score.scorer for row in scores for score in row)
    rows = [scores[index] for index in good]
    return {
        name: (
            sum(all(is_good(each.value) for each in row if each.scorer == name) for row in rows),
            len(rows),
        )
        for name in names
    }


def copies_in_words(rows: Sequence[Row], copies: Sequence[Damaged]) -> list[str]:
    """What damaged copies are called in a failure."""
    return [
        f"row {copy.index} ({row_key(rows[copy.index], copy.index)}) damaged by {copy.damage}"
        for copy in copies
    ]


# -- the script -------------------------------------------------------------------------------


def script_faults(
    run: ScriptRun, keys: Sequence[str], expected: Sequence[Sequence[Score]], analysed: str = ""
) -> Iterator[str]:
    """Where what the script left in MLflow is not what it should be.

    Args:
        run: What came of the script.
        keys: What each row's trace is tagged with; see :func:`row_key`.
        expected: The scores of each row, as the scorers themselves give them.
        analysed: The experiment that is analysed, into which nothing may be written.
    """
    if run.error:
        yield f"{run.error}; it printed last:\n{run.output.strip()[-900:]}"
        return
    if run.mlflow_runs != 1:
        yield (
            f"it left {run.mlflow_runs} MLflow runs in the store that MLFLOW_TRACKING_URI names "
            "instead of exactly one: call mlflow.genai.evaluate once, and let the flag "
            "--tracking-uri, then MLFLOW_TRACKING_URI, come before any other address"
        )
    if not run.mlflow_runs:
        return
    if analysed and run.experiment == analysed:
        yield f"it writes into the analysed experiment {analysed}: use {analysed}-evalkit"
    for key, scores in zip(keys, expected, strict=True):
        yield from _left_faults(key, scores, run.scores.get(key))


def _left_faults(
    key: str, expected: Sequence[Score], left: Sequence[Score] | None
) -> Iterator[str]:
    if left is None:
        yield (
            f"no trace with scores is tagged source_trace_id={key!r}: give evaluate every row, "
            'with "tags": {"source_trace_id": its trace, or "row-N" for row N made by hand}'
        )
        return
    for score in expected:
        name = score.part or score.scorer
        values = [each for each in left if each.scorer == name]
        fault = _value_fault(score, values)
        if fault:
            yield f"{key}: {name} {fault}"


def _value_fault(expected: Score, left: Sequence[Score]) -> str:
    if len(left) != 1:
        return f"has {len(left)} values in MLflow instead of one"
    if left[0].error:
        return f"failed: {left[0].error}"
    before, after = rank(expected.value), rank(left[0].value)
    if before is None or after is None or not same(before, after):
        return (
            f"has the value {shown(left[0].value)} in MLflow, but on the recorded outputs, steps "
            f"and seconds it gives {shown(expected.value)}: replay the row as it is in DATASET "
            "and RECORDED (a scorer must also give the same each time)"
        )
    return ""
