"""Harbor's job directories: a folder a trial, with what its agent logged and what came of it.

::

    <job>/<case>__<hash>/result.json
                        /agent/{claude-code.txt, trajectory.json, codex.txt}
                        /steps/<step>/agent/…   where the case is done in steps
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evalkit.claude_log.timing import parse_time
from evalkit.errors import InputError, Problem
from evalkit.files import check_id, folders_in, inside, read_document
from evalkit.jsonable import Json, is_number, list_of, mapping_of, text_of
from evalkit.tokens import LONGEST_S, Consumption, count

JOB_KEY = "harbor_job_dir"
"""Where ``run_result.json`` names the job that a run was made of."""

_LOGS = ("claude-code.txt", "trajectory.json", "codex.txt")
"""What an agent's folder may hold, the richest first."""

_PART = re.compile(r"trajectory\.cont-(\d+)\.json")


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


def trials_by_case(stated: Json, run: Path) -> tuple[dict[str, HarborTrial], list[str]]:
    """The trials of the job that a run names, by case, and what is not followed of it.

    The job's folder is relative to the run or to one above it in its project.
    """
    path = Path(text_of(stated))
    roots = [run, *run.resolve().parents] if path.parts else []
    found = next((root / path for root in roots if (root / path).is_dir()), None)
    if found is None or not _is_within(found, run):
        what = f"names {path}, and there is no such folder in the project"
        fix = "copy the job's folder into the project, and log the run again"
        return {}, [str(InputError(Problem(what, field=JOB_KEY, fix=fix)))]
    trials: dict[str, list[HarborTrial]] = {}
    for name in folders_in(found):
        if trial := trial_of(found / name, found):
            trials.setdefault(trial.case_id, []).append(trial)
    kept = {case: next((t for t in own if t.log), own[0]) for case, own in trials.items()}
    return kept, [
        f"{case} has several trials: {kept[case].folder.name} stands for it"
        for case, own in trials.items()
        if len(own) > 1
    ]


def trial_of(folder: Path, root: Path) -> HarborTrial | None:
    """The trial in a folder; None where it holds none, or leads out of the root's project."""
    result: Mapping[str, Json] = {}
    with suppress(InputError):
        result = mapping_of(read_document(inside(folder / "result.json", root)).value)
    logs = _logs_in(folder, result)
    task = text_of(result.get("task_name")).rstrip("/").rpartition("/")[2]
    if not logs and not text_of(result.get("trial_name")):
        return None
    with suppress(InputError):
        case_id = check_id(task or folder.name.rpartition("__")[0] or folder.name, "case id")
        raised = mapping_of(result.get("exception_info"))
        whats = (text_of(raised.get(f"exception_{key}")) for key in ("type", "message"))
        failure = ": ".join(filter(None, whats))[:200]
        steps = {step: log for step, log in logs.items() if step}
        parts, transcripts = _beside(steps or logs, root)
        rewards = mapping_of(mapping_of(result.get("verifier_result")).get("rewards"))
        return HarborTrial(
            folder,
            text_of(result.get("id")) or folder.name,
            case_id,
            next(reversed(logs.values()), None),
            steps,
            parts,
            transcripts,
            _usage(result, tuple(steps), is_failed=bool(failure)),
            {key: float(value) for key, value in rewards.items() if is_number(value)},
            failure,
        )
    return None


def _logs_in(folder: Path, result: Mapping[str, Json]) -> dict[str, Path]:
    """Step to its log, in the order in which they were done; the trial's own, without a name."""
    done = (mapping_of(each).get("step_name") for each in list_of(result.get("step_results")))
    below = folder / "steps"
    there = folders_in(below) if os.access(below, os.R_OK) else []
    found: dict[str, Path] = {}
    for step in ["", *dict.fromkeys([*(name for name in done if name in there), *there])]:
        home = (below / step if step else folder) / "agent"
        logs = (path for path in map(home.joinpath, _LOGS) if os.access(path, os.F_OK))
        if log := next((path for path in logs if path.stat().st_size), None):
            found[step] = log
    return found


def _beside(logs: Mapping[str, Path], root: Path) -> tuple[tuple[Path, ...], dict[str, Path]]:
    """What continues a log, and subagents' parts of it, by the name of the file and its step."""
    parts: dict[int, Path] = {}
    found: dict[str, Path] = {}
    for step, log in logs.items():
        is_atif = log.name == "trajectory.json"
        others = "trajectory.*.json" if is_atif else "sessions/projects/*/*/subagents/*.jsonl"
        for other in sorted(log.parent.glob(others)):
            if not _is_within(other, root):
                continue
            if (number := _PART.fullmatch(other.name)) and not step:
                parts[int(number[1])] = other
            elif not number:
                found[f"steps/{step}/{other.name}" if step else other.name] = other
    return tuple(parts[number] for number in sorted(parts)), found


def _is_within(path: Path, root: Path) -> bool:
    with suppress(InputError):
        return bool(inside(path, root))
    return False


def _usage(result: Mapping[str, Json], steps: tuple[str, ...], *, is_failed: bool) -> Consumption:
    told, timing = mapping_of(result.get("agent_result")), mapping_of(result.get("agent_execution"))
    names = ("n_input_tokens", "n_cache_tokens", "n_output_tokens")
    read, cached, output = (count(told.get(name)) for name in names)
    tokens = {"input": max(0, read - cached), "cache_read": cached, "output": output}
    began, ended = (parse_time(timing.get(key)) for key in ("started_at", "finished_at"))
    seconds = ((ended or 0) - (began or 0)) / 10**9
    cost: Json = told.get("cost_usd")
    return Consumption(
        duration_s=seconds if began and ended and 0 <= seconds < LONGEST_S else None,
        cost_usd=float(cost) if is_number(cost) else None,
        exit_code=1 if is_failed else 0 if result.get("finished_at") else None,
        tokens=tokens if any(tokens.values()) else {},
        steps=steps,
    )
