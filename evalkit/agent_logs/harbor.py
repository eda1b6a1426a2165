"""Harbor's job directories: a folder a trial, with what its agent logged and what came of it.

::

    <job>/<case>__<hash>/result.json
                        /agent/{claude-code.txt, trajectory.json, codex.txt}
                        /steps/<step>/agent/…   where the case is done in steps
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit.claude_log.timing import parse_time
from evalkit.errors import InputError, Problem
from evalkit.files import check_id, folders_in, inside, read_document, read_text
from evalkit.jsonable import Json, is_number, list_of, mapping_of, text_of
from evalkit.tokens import LONGEST_S, Consumption, count

JOB_KEY = "harbor_job_dir"
"""Where ``run_result.json`` names the job that a run was made of."""

_LOGS = ("claude-code.txt", "trajectory.json", "codex.txt")
"""What an agent's folder may hold, the richest first."""

_PART = re.compile(r"trajectory\.cont-(\d+)\.json")
_MOST_CHARS = 200  # of why a trial failed


@dataclass(frozen=True, slots=True)
class HarborTrial:
    """One trial of a job."""

    folder: Path
    trial_id: str  # Harbor's, else the folder's name
    case_id: str  # which Harbor calls the task
    log: Path | None  # of its agent; of several steps, the last's
    steps: Mapping[str, Path]  # their logs by their names, in order
    parts: tuple[Path, ...]  # what continues the log, in order
    transcripts: Mapping[str, Path]  # of its subagents, by name
    usage: Consumption  # and how it ended
    rewards: Mapping[str, float]  # what its verifier gave
    failure: str  # empty where it did not fail


def find_job(stated: Json, run: Path) -> Path:
    """The folder of the job that a run names, relative to the run or to a folder above it.

    Raises:
        InputError: there is none, or it is not in the run's project.
    """
    path = Path(text_of(stated))
    roots = [run, *run.resolve().parents]
    found = next((root / path for root in roots if (root / path).is_dir()), None)
    with suppress(InputError):
        if found is not None and path.parts:
            return inside(found, run)
    what = f"names {path}, and there is no such folder in the project"
    fix = "copy the job's folder into the project, and log the run again"
    raise InputError(Problem(what, field=JOB_KEY, fix=fix))


def trials_by_case(stated: Json, run: Path) -> tuple[dict[str, HarborTrial], list[str]]:
    """The trials of the job that a run names, by case, and what is not followed of it.

    Of several trials of a case, the first that logged something stands for it.
    """
    kept: dict[str, HarborTrial] = {}
    passed_over: list[str] = []
    try:
        for trial in trials_in(find_job(stated, run)):
            other = kept.setdefault(trial.case_id, trial)
            if other.log is None and trial.log is not None:
                kept[trial.case_id] = trial
            if other is not trial:
                stands = kept[trial.case_id].folder.name
                passed_over.append(f"{trial.case_id} has several trials: {stands} stands for it")
    except InputError as error:
        passed_over.append(str(error))
    return kept, list(dict.fromkeys(passed_over))


def trials_in(job: Path) -> Iterator[HarborTrial]:
    """The trials of a job, by name."""
    found = (trial_of(job / name, job) for name in folders_in(job))
    return (trial for trial in found if trial is not None)


def trial_of(folder: Path, root: Path) -> HarborTrial | None:
    """The trial in a folder; None where it holds none, or leads out of the root's project."""
    result: Mapping[str, Json] = {}
    with suppress(InputError):
        result = mapping_of(read_document(inside(folder / "result.json", root)).value)
    steps = _steps(folder, result)
    own = _log_in(folder / "agent")
    if not steps and own is None and not text_of(result.get("trial_name")):
        return None
    task = text_of(result.get("task_name")).rstrip("/").rpartition("/")[2]
    name = task or folder.name.rpartition("__")[0] or folder.name
    with suppress(InputError):
        case_id = check_id(name, "case id")
        failure = _failure(folder, root, result)
        parts, transcripts = _beside(steps or ({"": own} if own else {}), root)
        rewards = mapping_of(mapping_of(result.get("verifier_result")).get("rewards"))
        return HarborTrial(
            folder,
            text_of(result.get("id")) or folder.name,
            case_id,
            [own, *steps.values()][-1],
            steps,
            parts,
            transcripts,
            _usage(result, tuple(steps), is_failed=bool(failure)),
            {key: float(value) for key, value in rewards.items() if is_number(value)},
            failure,
        )
    return None


def _steps(folder: Path, result: Mapping[str, Json]) -> dict[str, Path]:
    """Step to its log, in the order in which they were done as far as the result tells."""
    below = folder / "steps"
    done = [
        text_of(mapping_of(step).get("step_name")) for step in list_of(result.get("step_results"))
    ]
    there = folders_in(below)
    order = [*(step for step in dict.fromkeys(done) if step in there), *there]
    logs = {step: _log_in(below / step / "agent") for step in dict.fromkeys(order)}
    return {step: log for step, log in logs.items() if log is not None}


def _log_in(agent: Path) -> Path | None:
    there = (agent / name for name in _LOGS)
    return next((path for path in there if path.is_file() and path.stat().st_size), None)


def _beside(logs: Mapping[str, Path], root: Path) -> tuple[tuple[Path, ...], dict[str, Path]]:
    """What continues a log, and subagents' parts of it, by the name of the file and its step."""
    parts: dict[int, Path] = {}
    found: dict[str, Path] = {}
    for step, log in logs.items():
        others = [*log.parent.glob("sessions/projects/*/*/subagents/*.jsonl")]
        if log.name == "trajectory.json":
            others = [*log.parent.glob("trajectory.*.json")]
        for other in filter(lambda path: _is_within(path, root), sorted(others)):
            if (number := _PART.fullmatch(other.name)) and not step:
                parts[int(number[1])] = other
            elif not number:
                found[f"steps/{step}/{other.name}" if step else other.name] = other
    return tuple(parts[number] for number in sorted(parts)), found


def _is_within(path: Path, root: Path) -> bool:
    with suppress(InputError):
        return bool(inside(path, root))
    return False


def _failure(folder: Path, root: Path, result: Mapping[str, Json]) -> str:
    raised = mapping_of(result.get("exception_info"))
    kind, why = (text_of(raised.get(f"exception_{key}")) for key in ("type", "message"))
    if not kind and not why:
        with suppress(InputError):
            path = inside(folder / "exception.txt", root)
            lines = read_text(path).split("\n") if path.is_file() else []
            why = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return ": ".join(filter(None, (kind, why)))[:_MOST_CHARS]


def _usage(result: Mapping[str, Json], steps: tuple[str, ...], *, is_failed: bool) -> Consumption:
    used = mapping_of(result.get("agent_result"))
    cached, timing = count(used.get("n_cache_tokens")), mapping_of(result.get("agent_execution"))
    tokens = {
        "input": max(0, count(used.get("n_input_tokens")) - cached),
        "cache_read": cached,
        "output": count(used.get("n_output_tokens")),
    }
    cost: Any = used.get("cost_usd")
    began, ended = (parse_time(timing.get(key)) for key in ("started_at", "finished_at"))
    seconds = (ended - began) / 10**9 if began is not None and ended is not None else -1
    return Consumption(
        duration_s=seconds if 0 <= seconds < LONGEST_S else None,
        cost_usd=float(cost) if is_number(cost) else None,
        exit_code=1 if is_failed else 0 if result.get("finished_at") else None,
        tokens=tokens if any(tokens.values()) else {},
        steps=steps,
    )
