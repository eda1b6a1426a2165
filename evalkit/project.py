"""An evaluation project: what ``eval.yaml`` says, checked all at once; nothing of its files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from evalkit.documents import Document, scalar_text
from evalkit.errors import InputError, Problem
from evalkit.jsonable import is_number, kind_of, list_of, mapping_of

Mode: TypeAlias = Literal["case", "batch"]

JUDGE_KINDS = ("builtin", "check", "prompt", "prompt_file", "llm_rubric", "module", "agent")
"""The keys of which a judge has one; each says how it judges."""

RESERVED_TAGS = ("mlflow.", "evalkit.")
OWN_TAGS = ("regressions_detected", "num_judges")
"""Tags of a run that MLflow and evalkit set; only its description is left to people."""

FIGURES = {
    "min_mean": "mean",
    "min_pass_rate": "pass_rate",
    "min_win_rate": "win_rate",
    "max_error_rate": "error_rate",
    "min_human_agreement": "human_agreement/value",
    "min_alpha": "stability/irr/value",
    "min_panel_alpha": "panel/alpha",
}
"""What a threshold can bound, and which of a judge's figures that is."""

SIMULATOR = "simulator"
"""The subject of a threshold that is no judge: who plays the user."""

SIMULATOR_FIGURES = {"max_fallback_rate": "fallback_rate"}

# fmt: off
READ_KEYS = frozenset((
    "name", "description", "version", "skill", "execution", "runner", "models", "mlflow", "dataset",
    "outputs", "judges", "thresholds", "extends", "permissions", "hooks", "inputs", "traces",
    "generation", "providers",
))
"""Keys that evalkit reads, or that only say how the agent is run."""

READ_JUDGE_KEYS = frozenset((
    *JUDGE_KINDS, "name", "description", "function", "arguments", "context", "condition", "if",
    "feedback_type", "score_range", "model",
))
# fmt: on


@dataclass(frozen=True, slots=True)
class Judge:
    """One judge of the evaluation, with the text of its check or prompt; all else in ``entry``."""

    name: str
    kind: str = ""
    source: str = ""
    score_range: tuple[float, float] | None = None
    model: str = ""
    entry: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_conditional(self) -> bool:
        """Whether it judges only the cases that its condition picks, which may be none."""
        return bool(self.entry.get("condition") or self.entry.get("if"))


@dataclass(frozen=True, slots=True)
class Project:
    """What an ``eval.yaml`` says, with defaults filled in.

    Attributes:
        name: ``name``, else the skill, else the name of the config's folder.
        steps: Ids of ``execution.steps``, in order, where a case takes several sessions.
        experiment: MLflow experiment; the project's name unless given.
        thresholds: Judge name to bound by kind, such as ``{"min_mean": 3.5}``.
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


def read_project(document: Document, *, fallback_name: str = "eval") -> Project:
    """Read a config, which may be a profile laid over the one that it extends.

    Unknown keys belong to other tools and are left alone. The fallback is the project's name
    where neither name nor skill is given.

    Raises:
        InputError: with every problem that it has.
    """
    reader = _Reader(document)
    project = reader.project(fallback_name)
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
        self.unread: list[str] = []

    def project(self, fallback_name: str) -> Project:
        root = self.document.value
        if not isinstance(root, dict):
            what = "the file is empty" if root is None else "the file is not a mapping of keys"
            self.wrong("", what, "write at least `name`, `skill` and `dataset.path`")
            return Project(fallback_name)
        sections = ("execution", "mlflow", "dataset", "runner")
        execution, mlflow, dataset, runner = (self.mapping(root, each) for each in sections)
        skill = self.text(root, "skill") or self.text(execution, "execution.skill")
        arguments = self.text(execution, "execution.arguments")
        name = self.text(root, "name") or skill or fallback_name
        judges = tuple(self.judges(root))
        thresholds = self.thresholds(root, [judge.name for judge in judges])
        if not dataset.get("path"):
            self.advise("dataset.path", "is missing", "name the folder of the case directories")
        if not dataset.get("schema"):
            fix = "describe which file and field of a case is input and which is expected"
            self.advise("dataset.schema", "is missing", fix)
        steps = list_of(execution.get("steps"))
        return Project(
            name=name,
            skill=skill,
            arguments=arguments or self.text(execution, "execution.prompt"),
            mode=self.mode(execution),
            steps=tuple(scalar_text(step.get("id")) for step in steps if isinstance(step, dict)),
            runner=self.text(runner, "runner.type"),
            models=self.texts(root, "models"),
            experiment=self.text(mlflow, "mlflow.experiment") or name,
            tracking_uri=self.text(mlflow, "mlflow.tracking_uri"),
            tags=self.tags(mlflow),
            dataset_path=self.text(dataset, "dataset.path"),
            schema=scalar_text(dataset.get("schema")),  # some write a structure instead of prose
            judges=judges,
            thresholds=thresholds,
            file=self.document.file,
            advice=tuple(sorted(self.advice, key=lambda problem: problem.line or 0)),
            unread=(*sorted(root.keys() - READ_KEYS), *self.unread),
        )

    def wrong(self, path: str, message: str, fix: str) -> None:
        self.problems.append(self.document.problem(path, message, fix))

    def advise(self, path: str, message: str, fix: str) -> None:
        self.advice.append(self.document.problem(path, message, fix))

    def mapping(self, parent: Mapping[str, Any], path: str) -> Mapping[str, Any]:
        """What stands at a path that ends in a key of the parent; empty where it is no mapping."""
        value = parent.get(path.rpartition(".")[2])
        if value is not None and not isinstance(value, dict):
            self.wrong(path, f"must be a mapping, is {kind_of(value)}", "indent its keys below")
        return mapping_of(value)

    def text(self, parent: Mapping[str, Any], path: str) -> str:
        value = parent.get(path.rpartition(".")[2])
        if isinstance(value, (dict, list)):
            self.wrong(path, f"must be text, is {kind_of(value)}", "write one value")
            return ""
        return scalar_text(value).strip()

    def texts(self, parent: Mapping[str, Any], path: str) -> dict[str, str]:
        found = self.mapping(parent, path).items()
        return {name: scalar_text(value) for name, value in found if not isinstance(value, dict)}

    def mode(self, execution: Mapping[str, Any]) -> Mode:
        value = self.text(execution, "execution.mode")
        if value not in {"case", "batch", "", "prompt"}:  # old files call one session a case so
            self.wrong("execution.mode", f"unknown mode {value!r}", "write case or batch")
        return "batch" if value == "batch" else "case"

    def tags(self, mlflow: Mapping[str, Any]) -> dict[str, str]:
        found = self.texts(mlflow, "mlflow.tags")
        for name in found:
            reserved = name.startswith(RESERVED_TAGS) or name in OWN_TAGS
            if reserved and name != "mlflow.note.content":
                what = "is a tag that MLflow or evalkit sets itself"
                self.wrong(f"mlflow.tags.{name}", what, "choose another name")
        return found

    def judges(self, root: Mapping[str, Any]) -> Iterator[Judge]:
        seen: set[str] = set()
        found = root.get("judges")
        if not isinstance(found, (list, type(None))):
            fix = "start each entry of judges with `-`"
            self.wrong("judges", f"must be a list, is {kind_of(found)}", fix)
        for index, entry in enumerate(list_of(found)):
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
        name = self.text(entry, f"{path}.name")
        if not name:
            self.wrong(path, "the judge has no name", "add `name:`")
        kinds = [kind for kind in JUDGE_KINDS if entry.get(kind) is not None]
        if "agent" in kinds:  # an agent that judges is told how by one of the prompt kinds
            kinds = ["agent"]
        if len(kinds) != 1:
            what = f"has {' and '.join(kinds)}" if kinds else "does not say how it judges"
            self.advise(path, f"judge {name!r} {what}", f"give it one of {', '.join(JUDGE_KINDS)}")
        if "module" in kinds and not entry.get("function"):
            self.advise(f"{path}.module", "a module without its `function`", "add `function:`")
        unread = sorted(entry.keys() - READ_JUDGE_KEYS)
        self.unread += [f"{key} of the judge {entry.get('name')}" for key in unread]
        bounds, model = entry.get("score_range"), entry.get("model")
        is_range = isinstance(bounds, list) and [*map(is_number, bounds)] == [True, True]
        if bounds is not None and not is_range:
            self.wrong(f"{path}.score_range", "must be two numbers", "write it as [1, 5]")
        return Judge(
            name=name,
            kind=kinds[0] if kinds else "",
            source=scalar_text(entry.get("check") or entry.get("prompt") or ""),
            score_range=(float(bounds[0]), float(bounds[1])) if bounds and is_range else None,
            model=", ".join(map(scalar_text, model if isinstance(model, list) else [model])),
            entry=entry,
        )

    def thresholds(
        self, root: Mapping[str, Any], judges: Collection[str]
    ) -> dict[str, dict[str, float]]:
        """The thresholds that can be held against a run; what is wrong with one stops no stage."""
        found, must = root.get("thresholds"), "must be a mapping, is "
        if not isinstance(found, (dict, type(None))):
            self.advise("thresholds", must + kind_of(found), "write each judge as a key")
        bounds: dict[str, dict[str, float]] = {}
        for judge, demanded in mapping_of(found).items():
            path = f"thresholds.{judge}"
            figures = SIMULATOR_FIGURES if judge == SIMULATOR else FIGURES
            if judge not in (*judges, SIMULATOR):
                self.advise(path, "there is no judge of that name", "correct the name")
            if not isinstance(demanded, dict):
                self.advise(path, must + kind_of(demanded), "write `min_mean: 3.5`")
                continue
            bounds[judge] = {}
            for kind, bound in demanded.items():
                where = f"{path}.{kind}"
                if kind not in figures:
                    self.advise(where, "no such threshold", f"write one of {', '.join(figures)}")
                elif not is_number(bound):
                    self.advise(where, f"must be a number, is {kind_of(bound)}", "such as 3.5")
                else:
                    bounds[judge][kind] = float(bound)
        return bounds
