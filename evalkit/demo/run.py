"""The demo's two finished runs: logs, scores and figures, as the harness leaves them.

The newer run is played from the session scripts, and what can be computed from its logs is: tokens,
cost, turns, and the scores of the judges that are code. What judges that are models said stands in
``scores.yaml``, and so does what was different in the baseline, of which no logs were kept.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from evalkit.demo.figures import Figures, as_json, as_yaml, combined, run_result
from evalkit.demo.scoring import Scores, budget_score, computed_scores, summarise, with_type
from evalkit.demo.script import SKILL_FOLDER, Played, play
from evalkit.demo.tokens import SONNET, Tokens

EVAL_NAME = "quillmoor-support-eval"
RUN_ID = "2026-05-12-sonnet-v2"
BASELINE_ID = "2026-05-05-sonnet-v1"
RUNS = f"eval/runs/{EVAL_NAME}"

STARTED = dt.datetime(2026, 5, 12, 8, 30, tzinfo=dt.UTC)
BETWEEN_CASES = dt.timedelta(seconds=31)
UNPLAYED_S = 1.4
UNPLAYED_ERROR = "Error: ENOSPC: no space left on device, open '/workspace/.claude.json'\n"
KILLED_ERROR = "agent killed after 120 s (execution.timeout)\n"
USUAL = Tokens(input=6, output=900, cache_read=49_000, cache_create=16_500)
"""What a session of the baseline used where the newer run cannot say it."""


def run_files(
    authored: Mapping[str, str], scripts: Mapping[str, str], scores: str
) -> dict[str, str]:
    """The generated files of both runs, by path relative to the project.

    Args:
        authored: The project's authored files, by path relative to the project.
        scripts: Session scripts, by case; a case without one has no log.
        scores: YAML: what judges that are models said (``judged``), and where the baseline
            differs (``baseline``), by case and judge.
    """
    said = yaml.safe_load(scores)
    cases = sorted(path.split("/")[2] for path in authored if path.endswith("/input.yaml"))
    played = {case: _play(case, number, authored, scripts) for number, case in enumerate(cases)}
    figures = {case: _figures(session) for case, session in played.items()}
    before = {case: _before(case, found) for case, found in figures.items()}
    now = {
        case: _scores(case, authored, session, figures[case], said["judged"][case])
        for case, session in played.items()
    }
    files = dict(_run_directory(RUN_ID, figures, now, "2.1.204"))
    for case, session in played.items():
        files.update(_case_files(f"{RUNS}/{RUN_ID}/cases/{case}", session, figures[case]))
    older = _baseline_scores(now, said["baseline"], before)
    files.update(_run_directory(BASELINE_ID, before, older, "2.1.187"))
    return files


# -- the newer run -----------------------------------------------------------------------------


def _play(
    case: str, number: int, authored: Mapping[str, str], scripts: Mapping[str, str]
) -> Played | None:
    if case not in scripts:
        return None
    return play(
        scripts[case],
        f"{RUN_ID}/{case}",
        STARTED + number * BETWEEN_CASES,
        _case_file(authored, case, "input")["message"],
        lambda path: authored[f"{SKILL_FOLDER}/{path}"],
    )


def _figures(session: Played | None) -> Figures:
    if session is None:
        return Figures(1, UNPLAYED_S, 0, {})
    return Figures(session.exit_code, session.duration_s, session.messages, session.spent)


def _scores(
    case: str,
    authored: Mapping[str, str],
    session: Played | None,
    figures: Figures,
    judged: Mapping[str, Any],
) -> dict[str, Any]:
    computed = computed_scores(
        _case_file(authored, case, "input"),
        _case_file(authored, case, "annotations"),
        session.reply if session else "",
        session.read if session else (),
    )
    found = {"cost_budget": budget_score(figures.cost_usd()), **computed, **judged}
    return {judge: with_type(judge, score) for judge, score in found.items()}


def _case_file(authored: Mapping[str, str], case: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(authored[f"eval/cases/{case}/{name}.yaml"])
    return found


def _case_files(folder: str, session: Played | None, figures: Figures) -> Iterator[tuple[str, str]]:
    yield f"{folder}/run_result.json", as_json(figures.as_dict())
    if session is None:
        yield f"{folder}/stderr.log", UNPLAYED_ERROR
        return
    yield f"{folder}/stdout.log", session.log
    if not session.spent:
        yield f"{folder}/stderr.log", KILLED_ERROR
    for name, transcript in session.transcripts.items():
        yield f"{folder}/subagents/{name}", transcript


# -- the baseline ------------------------------------------------------------------------------


def _before(case: str, figures: Figures) -> Figures:
    """What the case consumed a week earlier: the same, give or take a fifth."""
    share = 80 + hashlib.sha256(case.encode()).digest()[0] % 41
    tokens = figures.tokens() if figures.spent else USUAL
    spent = Tokens(
        tokens.input,
        tokens.output * share // 100,
        tokens.cache_read * share // 100,
        tokens.cache_create * share // 100,
    )
    duration_s = round(min(figures.duration_s, 60.0) * share / 100 + 2, 1)
    return Figures(0, duration_s, max(figures.messages, 4), {SONNET: spent})


def _baseline_scores(
    now: Scores, differences: Mapping[str, Any], figures: Mapping[str, Figures]
) -> Scores:
    return {
        case: {
            judge: with_type(judge, score)
            for judge, score in {
                **found,
                **differences.get(case, {}),
                "cost_budget": budget_score(figures[case].cost_usd()),
            }.items()
            if judge != "pairwise"  # there was nothing to compare with
        }
        for case, found in now.items()
    }


# -- what both have ----------------------------------------------------------------------------


def _run_directory(
    run_id: str, figures: Mapping[str, Figures], scores: Scores, cli: str
) -> Iterator[tuple[str, str]]:
    total = combined(figures.values())
    result = run_result("quillmoor-support", "{message}", cli, figures)
    summary = {**summarise(run_id, scores), "run_metrics": total.rates()}
    yield f"{RUNS}/{run_id}/run_result.json", as_json(result)
    yield f"{RUNS}/{run_id}/summary.yaml", as_yaml(summary)
