"""An evaluation project: what ``eval.yaml`` says, checked all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast

from evalkit.core.config_file import other_tool, unread_keys
from evalkit.core.document import Document, as_text, parse_yaml
from evalkit.core.thresholds import parse_thresholds
from evalkit.errors import InputError, Problem
from evalkit.jsonable import is_number, kind_of

Mode: TypeAlias = Literal["case", "batch"]

JUDGE_KINDS = ("builtin", "check", "prompt", "prompt_file", "llm_rubric", "module", "agent")
"""The keys of which a judge has one; each says how it judges."""

RESERVED_TAGS = ("mlflow.", "evalkit.")
OWN_TAGS = ("regressions_detected", "num_judges")
"""Tags of a run that MLflow and evalkit set; its description alone is left to people."""


@dataclass(frozen=True, slots=True)
class Judge:
    """One judge of the evaluation.

    Attributes:
        name: Its name, unique in the project.
        kind: How it judges, one of :data:`JUDGE_KINDS`; empty where the config does not say.
        source: The text of its check or prompt, for evidence; empty for the other kinds.
        description: What it judges, for people.
        feedback_type: What it returns, as the config says; empty where it does not.
        score_range: Lowest and highest score, where the config gives them.
        model: The model that judges, or several; empty where the config does not say.
    """

    name: str
    kind: str = ""
    source: str = ""
    description: str = ""
    feedback_type: str = ""
    score_range: tuple[float, float] | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """What an ``eval.yaml`` says, with defaults filled in.

    Attributes:
        name: ``name``, else the skill, else the name of the config's folder.
        skill: The skill under evaluation; empty where only a prompt is given.
        arguments: Template of the skill's arguments, such as ``{prompt}``.
        mode: ``case``: one agent session a case; ``batch``: one for the whole run.
        steps: Ids of ``execution.steps``, in order, where a case takes several sessions.
        runner: ``runner.type``; empty where not given.
        models: Role to model name.
        experiment: MLflow experiment; the project's name unless given.
        tracking_uri: ``mlflow.tracking_uri``; empty where not given.
        tags: Further tags for MLflow runs.
        dataset_path: Where the cases lie, as written.
        schema: Prose about the files of a case.
        judges: The judges, in order.
        thresholds: Judge name to bound by kind, such as ``{"min_mean": 3.5}``.
        file: The config file's name, for messages.
        advice: What is likely a mistake but stops no stage; ``evalkit check`` shows it.
        unread: Keys that evalkit does not understand.
    """

    name: str
    skill: str = ""
    arguments: str = ""
    mode: Mode = "case"
    steps: tuple[str, ...] = ()
    runner: str = ""
    models: Mapping[str, str] = field(default_factory=dict)
    experiment: str = ""
    tracking_uri: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset_path: str = ""
    schema: str = ""
    judges: tuple[Judge, ...] = ()
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    file: str = "eval.yaml"
    advice: tuple[Problem, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def doubts(self) -> tuple[Problem, ...]:
        """What is wrong with the thresholds, so that nobody can say whether a run meets them."""
        return tuple(each for each in self.advice if each.field.startswith("thresholds"))


def parse_project(text: str, file: str, *, fallback_name: str = "eval") -> Project:
    """Read the text of an ``eval.yaml``.

    Unknown keys belong to other tools and are left alone.

    Args:
        text: The file's content.
        file: The file's name, for messages.
        fallback_name: The project's name where neither name nor skill is given.

    Raises:
        InputError: with every problem that the text has.
    """
    return read_project(parse_yaml(text, file, with_lines=True), fallback_name=fallback_name)


def read_project(document: Document, *, fallback_name: str = "eval") -> Project:
    """The same for a parsed file, or for a profile laid over the config that it extends.

    Raises:
        InputError: with every problem, or as another tool's config.
    """
    if tool := other_tool(document.value):
        fix = "evalkit reads the eval.yaml of agent-eval-harness (`dataset:`, `judges:`)"
        raise InputError(document.problem("", f"this looks like a config of {tool}", fix))
    reader = _Reader(document)
    project = replace(reader.project(fallback_name), unread=unread_keys(document.value))
    if reader.problems:
        found = [*reader.problems, *project.doubts]
        raise InputError(*sorted(found, key=lambda problem: problem.line or 0))
    return project


class _Reader:
    """Reads fields of the expected type and collects what is wrong instead of stopping."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.advice: list[Problem] = []

    def project(self, fallback_name: str) -> Project:
        root = self.document.value
        if not isinstance(root, dict):
            what = "the file is empty" if root is None else "the file is not a mapping of keys"
            self.wrong("", what, "write at least `name`, `skill` and `dataset.path`")
            return Project(fallback_name)
        execution = self.mapping(root, "execution")
        mlflow = self.mapping(root, "mlflow")
        dataset = self.mapping(root, "dataset")
        skill = self.text(root, "skill") or self.text(execution, "skill", "execution.")
        name = self.text(root, "name") or skill or fallback_name
        judges = tuple(self.judges(root))
        names = [judge.name for judge in judges]
        thresholds, doubts = parse_thresholds(root.get("thresholds"), names, self.document)
        self.advise(dataset)
        return Project(
            name=name,
            skill=skill,
            arguments=self.text(execution, "arguments", "execution.")
            or self.text(execution, "prompt", "execution."),
            mode=self.mode(execution),
            steps=_step_ids(execution.get("steps")),
            runner=self.text(self.mapping(root, "runner"), "type", "runner."),
            models=self.texts(root, "models"),
            experiment=self.text(mlflow, "experiment", "mlflow.") or name,
            tracking_uri=self.text(mlflow, "tracking_uri", "mlflow."),
            tags=self.tags(mlflow),
            dataset_path=self.text(dataset, "path", "dataset."),
            schema=self.schema(dataset),
            judges=judges,
            thresholds=thresholds,
            file=self.document.file,
            advice=tuple(sorted([*self.advice, *doubts], key=lambda problem: problem.line or 0)),
        )

    def advise(self, dataset: Mapping[str, Any]) -> None:
        if not dataset.get("path"):
            fix = "name the folder that holds the case directories"
            self.advice.append(self.document.problem("dataset.path", "is missing", fix))
        if not dataset.get("schema"):
            fix = "describe which file and field of a case is input and which is expected"
            self.advice.append(self.document.problem("dataset.schema", "is missing", fix))

    def wrong(self, path: str, message: str, fix: str = "") -> None:
        self.problems.append(self.document.problem(path, message, fix))

    def mapping(self, parent: Mapping[str, Any], key: str, prefix: str = "") -> dict[str, Any]:
        value = parent.get(key)
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.wrong(prefix + key, f"must be a mapping, is {kind_of(value)}", "indent its keys below")
        return {}

    def text(self, parent: Mapping[str, Any], key: str, prefix: str = "") -> str:
        value = parent.get(key)
        if isinstance(value, (dict, list)):
            self.wrong(prefix + key, f"must be text, is {kind_of(value)}", "write one value")
            return ""
        return as_text(value).strip()

    def texts(self, parent: Mapping[str, Any], key: str, prefix: str = "") -> dict[str, str]:
        found = self.mapping(parent, key, prefix)
        return {
            name: as_text(value) for name, value in found.items() if not isinstance(value, dict)
        }

    def mode(self, execution: Mapping[str, Any]) -> Mode:
        value = self.text(execution, "mode", "execution.") or "case"
        if value in {"case", "batch"}:
            return cast("Mode", value)
        if value == "prompt":  # the name that old files use for one session a case
            return "case"
        self.wrong("execution.mode", f"unknown mode {value!r}", "write case or batch")
        return "case"

    def schema(self, dataset: Mapping[str, Any]) -> str:
        value = dataset.get("schema")
        return as_text(value)  # some write it as a structure instead of prose

    def judges(self, root: Mapping[str, Any]) -> Iterator[Judge]:
        seen: set[str] = set()
        for index, entry in enumerate(self.entries(root, "judges")):
            path = f"judges[{index}]"
            if not isinstance(entry, dict):
                self.wrong(path, f"must be a mapping, is {kind_of(entry)}", "give it a `name`")
                continue
            judge = self.judge(entry, path)
            if judge.name in seen:
                self.wrong(f"{path}.name", f"a second judge {judge.name!r}", "rename one of them")
            seen.add(judge.name)
            if judge.name:
                yield judge

    def judge(self, entry: Mapping[str, Any], path: str) -> Judge:
        prefix = path + "."
        name = self.text(entry, "name", prefix)
        if not name:
            self.wrong(path, "the judge has no name", "add `name:`")
        kinds = [kind for kind in JUDGE_KINDS if entry.get(kind) is not None]
        if "agent" in kinds:  # an agent that judges is told how by one of the prompt kinds
            kinds = ["agent"]
        if len(kinds) != 1:
            what = f"has {' and '.join(kinds)}" if kinds else "does not say how it judges"
            fix = f"give it one of {', '.join(JUDGE_KINDS)}"
            self.advice.append(self.document.problem(path, f"judge {name!r} {what}", fix))
        if "module" in kinds and not entry.get("function"):
            what = "a module without its `function`"
            self.advice.append(self.document.problem(f"{prefix}module", what, "add `function:`"))
        return Judge(
            name=name,
            kind=kinds[0] if kinds else "",
            source=as_text(entry.get("check") or entry.get("prompt") or ""),
            description=self.text(entry, "description", prefix),
            feedback_type=self.text(entry, "feedback_type", prefix),
            score_range=self.score_range(entry, prefix),
            model=_models(entry.get("model")),
        )

    def score_range(self, entry: Mapping[str, Any], prefix: str) -> tuple[float, float] | None:
        value = entry.get("score_range")
        if value is None:
            return None
        if isinstance(value, list) and len(value) == 2 and all(map(is_number, value)):  # noqa: PLR2004 (lowest and highest)
            return float(value[0]), float(value[1])
        self.wrong(prefix + "score_range", "must be two numbers", "write it as [1, 5]")
        return None

    def tags(self, mlflow: Mapping[str, Any]) -> dict[str, str]:
        found = self.texts(mlflow, "tags", "mlflow.")
        for name in found:
            reserved = name.startswith(RESERVED_TAGS) or name in OWN_TAGS
            if reserved and name != "mlflow.note.content":
                what = "is a tag that MLflow or evalkit sets itself"
                self.wrong(f"mlflow.tags.{name}", what, "choose another name")
        return found

    def entries(self, root: Mapping[str, Any], key: str) -> list[Any]:
        value = root.get(key)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self.wrong(
            key, f"must be a list, is {kind_of(value)}", f"start each entry of {key} with `-`"
        )
        return []


def _models(value: object) -> str:
    return ", ".join(map(as_text, value)) if isinstance(value, list) else as_text(value)


def _step_ids(steps: object) -> tuple[str, ...]:
    named = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    return tuple(as_text(step.get("id")) for step in named)
