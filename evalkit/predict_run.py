"""``run``: an agent's function answers the project's cases, and a run of the harness comes of it.

The function runs in processes of its own, one case at a time in each, so that one that hangs or
dies takes nothing with it. What is done is on disk, and is not done again.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import get_ident
from typing import Any

import yaml

from evalkit.context import Workspace
from evalkit.dataset.cases import load_cases
from evalkit.dataset.mapping import apply_mapping, check_mapped
from evalkit.dataset.mapping_file import chosen_mapping, find_mapping, map_schema
from evalkit.errors import InputError, Problem, StoreAbsent
from evalkit.files import check_id, folders_in, read_document, read_text, write_text
from evalkit.imports.project_writer import result_of, summary_of
from evalkit.jsonable import Json, well_formed
from evalkit.masking import mask_text
from evalkit.runs.results import RESULT, SUMMARY
from evalkit.suite.execution import BEGUN, TIMED_OUT, AgentDied, PredictProcess, tokens_of

REQUEST = "predict.json"
"""In a run directory: what runs there; by it the run is known as one of these."""

ANNOTATIONS = "annotations.yaml"
JUDGING_SECONDS, GRACE_SECONDS = 900, 60
"""How long judging a case may take, and ending an execution whose time is up."""


def run_cases(
    workspace: Workspace,
    *,
    predict: str,
    run_id: str | None = None,
    mapping: str | Path | None = None,
    parallel: int = 4,
    timeout: float = 600,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Json]:
    """Run an agent on all cases, each traced by MLflow, and apply the config's code judges.

    Args:
        workspace: The opened project.
        predict: ``module:function``, importable from the config's folder or the working directory.
        run_id: The run directory's name; the time by default. One that is not complete goes on.
        mapping: The mapping of the cases' fields; the project's by default, else one by rules.
        parallel: Cases that run at a time.
        timeout: Seconds that one may take.
        say: Told the progress, a line at a time.

    Returns:
        ``run_id``, ``cases``, ``failed`` (``executions`` says which and why), ``directory``,
        ``ran`` (cases that ran just now), and ``notes``; an InputError where config, mapping or
        function are wrong, or the run is somebody else's.
    """
    checks = (
        (re.fullmatch(r"[\w.]+:[\w.]+", predict), "--predict", "write module:function"),
        (parallel > 0, "--parallel", "give at least 1"),
        (timeout > 0, "--timeout", "give seconds, more than 0"),
    )
    bad = [Problem("cannot be used", field=flag, fix=fix) for ok, flag, fix in checks if not ok]
    if bad:
        raise InputError(*bad)
    run_id = check_id(run_id or datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S"), "run id")
    notes = list[str]()
    tasks = _tasks(workspace, mapping, notes)
    with _opened(workspace, run_id, predict) as (folder, handle):
        run = CaseRun(workspace, folder.absolute(), handle, notes)
        left = [task for task in tasks if task["case_id"] not in run.done]
        if left or not (folder / RESULT).is_file():
            say(f"run {run_id}: {len(left)} of {len(tasks)} cases to run")
            run.run(left, parallel, say, {"predict": predict, "timeout": timeout})
        else:
            notes.append("the run is complete: every case had run before")
    failed = {case: found["error"] for case, found in run.done.items() if found["exit_code"]}
    names = {case: mask_text(why.splitlines()[-1])[0] for case, why in sorted(failed.items())}
    return {
        "run_id": run_id,
        "config": str(workspace.files.config),
        "cases": len(run.done),
        "failed": len(failed),
        "directory": str(folder),
        "executions": {"total": len(run.done), "failed": len(failed), "names": names},
        "ran": len(left),
        "notes": notes,
    }


def _tasks(
    workspace: Workspace, named: str | Path | None, notes: list[str]
) -> list[dict[str, Json]]:
    """What each case gives to the agent (``case_id``, ``inputs``) and its judges."""
    path = Path(named) if named else find_mapping(workspace)
    if not (named or path.exists()):
        inputs = ", ".join(map_schema(workspace, out=path)["inputs"])
        notes.append(f"there was no mapping; by rules the inputs are {inputs} ({path})")
    path, mapping = chosen_mapping(workspace, named, notes.append)
    only = None if mapping.files is None else mapping.files | {ANNOTATIONS}
    cases = list(load_cases(workspace.files.cases_dir, only=only))
    mapped = [apply_mapping(mapping, case) for case in cases]
    if problems := check_mapped(mapping, mapped, str(path)):
        raise InputError(*problems)
    return [
        {
            "case_id": case.case_id,
            "inputs": found.record.inputs,
            "expectations": found.record.expectations,
            "annotations": well_formed(case.documents.get(ANNOTATIONS) or {}),
        }
        for case, found in zip(cases, mapped, strict=True)
    ]


@contextmanager
def _opened(workspace: Workspace, run_id: str, predict: str) -> Iterator[tuple[Path, int]]:
    """The run's directory, and the handle of its lock; another's, or one at work, is refused."""
    places = [base / run_id for base in workspace.files.run_homes]
    folder = next((each for each in places if each.is_dir()), places[0])
    request, fix = folder / REQUEST, "name another --run-id"
    if not request.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError(Problem("is a run that something else made", str(folder), fix=fix))
        write_text(request, json.dumps({"predict": predict}) + "\n")
    if (said := read_document(request).value) != {"predict": predict}:
        raise InputError(Problem(f"is a run of another function: {said}", str(request), fix=fix))
    handle = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(150):  # the processes of a run that was killed take a moment to end
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.1)
        else:
            what = "another process is at work here"
            raise InputError(Problem(what, str(folder), fix="wait for it"))
        yield folder, handle
    finally:
        os.close(handle)


class CaseRun:
    """A run on its way: ``done`` has what came of each case."""

    def __init__(self, workspace: Workspace, folder: Path, handle: int, notes: list[str]) -> None:
        """Look at what is done; the agent's processes hold the lock's handle, too."""
        self._workspace, self._folder, self._cases = workspace, folder, folder / "cases"
        self._handle, self._notes, self._stopped = handle, notes, False
        self._agents, self._setup = dict[int, PredictProcess](), dict[str, Any]()
        paths = {case: self._cases / case / RESULT for case in folders_in(self._cases)}
        self.done = {c: read_document(p).value for c, p in paths.items() if p.is_file()}

    def run(
        self,
        tasks: Sequence[dict[str, Json]],
        parallel: int,
        say: Callable[[str], None],
        params: dict[str, Json],
    ) -> None:
        """Run cases, side by side, and write what the run came to."""
        files, experiment_id = self._workspace.files, ""
        try:
            store = self._workspace.store
            experiment_id = store.experiment(files.project.experiment, create=True)
        except StoreAbsent as error:
            self._notes.append(f"the executions are not traced: {error}")
        judges = [judge for judge in files.project.judges if judge.kind]
        self._setup = {
            **params,
            "path": [str(files.root.resolve().parent), str(Path.cwd())],
            "judges": [well_formed({**j.entry, "name": j.name, "kind": j.kind}) for j in judges],
            "run_id": self._folder.name,
            "experiment_id": experiment_id,
            "tracking_uri": self._workspace.tracking.uri,
        }
        self._take_back()
        with ThreadPoolExecutor(parallel) as pool:
            try:
                running = [pool.submit(self._execute, task) for task in tasks]
                for number, each in enumerate(as_completed(running), start=1):
                    each.result()
                    say(f"{number} of {len(tasks)} cases ran")
            finally:
                self._stopped = True
                for agent in [*self._agents.values()]:
                    agent.end()
        self._take_back()
        for name, why in next((each.skipped for each in self._agents.values()), {}).items():
            self._notes.append(f"the judge {name} is not asked: {why}")
        self._write_run(params)

    def _take_back(self) -> None:
        """Delete what MLflow may hold of executions that were broken off, by a kill too."""
        begun = [*self._cases.glob(f"*/{BEGUN}")]
        ended = {found.get("trace_id") for found in self.done.values()}
        left = {read_text(path) for path in begun} - ended - {""}
        if left and (experiment_id := self._setup["experiment_id"]):
            self._workspace.store.delete_traces(experiment_id, [*left])
        for path in begun:
            path.unlink()

    def _execute(self, task: dict[str, Json]) -> None:
        """Run a case in this thread's process, and write what came of it."""
        agent = self._agents.get(get_ident())
        if not self._stopped and (agent is None or agent.is_over):
            agent = self._agents[get_ident()] = PredictProcess(self._setup, self._handle)
        if self._stopped or agent is None:
            return
        folder, started = self._cases / task["case_id"], time.time()
        folder.mkdir(parents=True, exist_ok=True)
        result: dict[str, Json] = {"started_at": datetime.fromtimestamp(started, UTC).isoformat()}
        try:
            case = {**task, "case_dir": str(folder)}
            result |= agent.ask(case, self._setup["timeout"] + GRACE_SECONDS)
            result["scores"] = agent.ask(None, JUDGING_SECONDS)
        except AgentDied as error:
            if self._stopped:
                return
            self._notes.append(f"{task['case_id']}: {error}")
            asked = {judge["name"] for judge in self._setup["judges"]} - agent.skipped.keys()
            failed = {"value": None, "error": str(error)}
            result["scores"] = dict.fromkeys(sorted(asked), failed)
            if "exit_code" not in result:  # else it were the judges
                result |= {"exit_code": TIMED_OUT if agent.is_late else 1, "error": str(error)}
                result["duration_s"] = round(time.time() - started, 3)
        _write_json(folder / RESULT, result)
        self.done[task["case_id"]] = result

    def _write_run(self, params: dict[str, Json]) -> None:
        """What the run consumed, how it ended, and what judges said of all its cases."""
        done, path = dict(sorted(self.done.items())), self._folder / SUMMARY
        before = read_document(path).value if path.is_file() else {}
        kept = before.get("per_case") or {}  # of judges that another has asked since
        said = {case: {**kept.get(case, {}), **found.pop("scores")} for case, found in done.items()}
        content = {"run_id": self._folder.name, **before, **summary_of(said)}
        write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        models = defaultdict[str, Counter[str]](Counter)
        for own in done.values():
            for model, figures in own.get("per_model_usage", {}).items():
                models[model].update(figures)
        used = {"token_usage": tokens_of(models), "per_model_usage": models} if models else {}
        result = result_of(
            done,
            run_id=self._folder.name,
            agent=params["predict"],
            model=next(iter(models)) if len(models) == 1 else None,
            exit_code=max((own["exit_code"] for own in done.values()), default=0),
            eval_params=params,
            **used,
        )
        _write_json(self._folder / RESULT, result)


def _write_json(path: Path, content: Json) -> None:
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
