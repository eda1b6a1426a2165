"""Which config is meant, which others it extends, and where the parts of a project lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from evalkit.documents import Document, Replacement
from evalkit.errors import InputError, Problem
from evalkit.files import read_document
from evalkit.jsonable import Json, canonical, mapping_of
from evalkit.project import Project, read_project

USUAL_CONFIG = "eval.yaml"

HARNESS_KEYS = frozenset({"skill", "execution", "dataset", "judges", "runner", "outputs"})
"""Keys of which an evaluation's config has at least one."""

MAX_LAYERS = 8
"""Configs that may extend each other in a chain, as the harness has it."""

KEYED_LISTS = {"judges": "name", "steps": "id"}
"""Lists that a profile merges entry by entry, and what identifies an entry."""

OWN_KEYS = frozenset({"dataset", "judges", "extends"})
"""A config with one of these is an evaluation's of the harness, whatever else it holds."""

OTHER_KEYS = (
    *("tasks", "checks", "graders", "tests", "prompts", "providers", "scenarios", "defaultTest"),
    *("evals", "evalcases", "cases", "scorers", "metrics", "evaluators", "testData", "task"),
    *("doc_to_text", "metric_list", "solver", "taskSets"),
)
"""Keys under which other tools describe what is asked and how it is judged."""


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """A project and where its parts lie; its runs in folders that are looked through in order.

    The root is the config that it extends, at the end of the chain, else the config itself: paths
    and defaults are taken from there.
    """

    project: Project
    config: Path
    root: Path
    runs_dirs: tuple[Path, ...]

    @property
    def cases_dir(self) -> Path:
        """The folder that holds the case directories; there has to be one."""
        where, fix = self.project.dataset_path, "name the folder that holds the case directories"
        tried = [self.root.parent / where, Path(where)] if where else []
        if found := next(filter(Path.is_dir, tried), None):
            return found
        what = "is missing"
        if tried:
            places = " or ".join(dict.fromkeys(str(path.absolute()) for path in tried))
            what = f"there is no folder {places}"
            fix = "correct it: it is relative to the config, else to the working directory"
        raise InputError(Problem(what, str(self.config), None, "dataset.path", fix))

    @property
    def notes(self) -> list[str]:
        """A word on where the cases lie, where that is not beside the config."""
        found = self.cases_dir
        is_beside = found == self.root.parent / self.project.dataset_path
        return [] if is_beside else [f"the cases are taken from {found} of the working directory"]

    @property
    def run_homes(self) -> list[Path]:
        """The folders whose folders are runs, in the order in which they are looked through."""
        project, config = self.project, self.root.resolve()
        lowered = project.name.lower().replace(" ", "-")
        plain = "".join(sign for sign in lowered if sign.isalnum() or sign in "._-")
        of_layout = config.parent.name if config.parent.parent.name == "eval" else ""
        names = (project.skill, project.name, lowered, plain, of_layout, config.stem)
        usable = [name for name in names if name and "/" not in name and name not in {".", ".."}]
        return [base / name for base in self.runs_dirs for name in dict.fromkeys((*usable, ""))]


def load_project(config: Path, runs_dir: str | None = None) -> ProjectFiles:
    """Read a config file, and those that it extends; in a folder, the one that is meant there.

    Finished runs lie where is said, else in ``AGENT_EVAL_RUNS_DIR``, else in ``eval/runs`` of the
    working directory or beside the config.
    """
    if config.is_dir() or (config == Path(USUAL_CONFIG) and not config.is_file()):
        config = _only_config(config if config.is_dir() else Path())
    document, root = _read_layers(config)
    if keys := _other_tool(document.value):
        fix = "evalkit reads the eval.yaml of agent-eval-harness (`dataset:`, `judges:`)"
        what = f"this looks like a config of another tool ({keys})"
        raise InputError(document.problem("", what, fix))
    project = read_project(document, fallback_name=root.resolve().parent.name or "eval")
    chosen = runs_dir or os.environ.get("AGENT_EVAL_RUNS_DIR")
    above = [parent / "runs" for parent in root.resolve().parents[:2] if parent.name == "eval"]
    usual = (Path("eval/runs"), root.parent / "eval/runs", *above)
    bases = {base.absolute(): base for base in ((Path(chosen),) if chosen else usual)}
    return ProjectFiles(project, config, root, tuple(bases.values()))


def _only_config(folder: Path) -> Path:
    found = configs_in(folder)
    if len(found) == 1:
        return found[0]
    what = "and no config at eval/*/eval.yaml or eval/*.yaml either"
    fix = "name your eval.yaml with --config, or run `evalkit demo` to see one"
    if found:
        what, fix = f"but {', '.join(map(str, found))}", "say which with --config"
    where = str(folder / USUAL_CONFIG)
    raise InputError(Problem(f"there is no such file, {what}", where, fix=fix))


def configs_in(folder: Path) -> list[Path]:
    """The configs that may be meant where none is named.

    Profiles, and other tools' files beside an eval's, are passed over.
    """
    if (folder / USUAL_CONFIG).is_file():
        return [folder / USUAL_CONFIG]
    below = sorted({*folder.glob("eval/*/eval.yaml"), *folder.glob("eval/*.yaml")})
    own, others = [], []
    for path in filter(Path.is_file, below):
        try:
            root = read_document(path).value
        except InputError:
            own += [path] if path.name == USUAL_CONFIG else []
            continue
        if _other_tool(root):
            others.append(path)
        elif isinstance(root, dict) and "extends" not in root and HARNESS_KEYS & root.keys():
            own.append(path)
    return own or others


def _other_tool(root: object) -> str:
    """Keys by which this seems to be another tool's config; empty where it may be one of ours."""
    if not isinstance(root, dict) or OWN_KEYS & root.keys() or root.keys().isdisjoint(OTHER_KEYS):
        return ""
    entries = [entry for value in root.values() if isinstance(value, list) for entry in value]
    inner = {key for entry in (root, *entries) if isinstance(entry, dict) for key in entry}
    return ", ".join(f"`{key}:`" for key in OTHER_KEYS if key in inner)


def _read_layers(config: Path) -> tuple[Document, Path]:
    """The config, laid over those that it extends, and the file at the root of that chain."""
    path, layers = config, [read_document(config)]
    while "extends" in mapping_of(layers[-1].value):
        base = layers[-1].value["extends"]
        wrong = ""
        if not isinstance(base, str) or not base or Path(base).is_absolute():
            wrong = "must be a path relative to this file"
        elif not (below := Path(os.path.normpath(path.parent / base))).is_file():
            wrong = f"there is no file {below}"
        elif len(layers) > MAX_LAYERS:
            wrong = f"more than {MAX_LAYERS} files extend each other, or one extends itself"
        if wrong:
            raise InputError(layers[-1].problem("extends", wrong, "name the config to build on"))
        path = below
        layers.append(read_document(path))
    return reduce(_layered, reversed(layers)), path


def _layered(base: Document, profile: Document) -> Document:
    """A profile laid over the config that it extends, as agent-eval-harness merges them.

    Mappings merge key by key, scalars are replaced, lists are extended by what they lack;
    ``judges`` merge by name and ``steps`` by id; a list tagged ``!replace`` stands alone.
    """
    for each in (base, profile):
        if not isinstance(each.value, dict):
            fix = "write keys, such as `name:` and `dataset:`"
            raise InputError(each.problem("", "the file is not a mapping of keys", fix))
    mixed: list[str] = []  # lists with entries of both, whose lines nobody knows any more
    value = _merged(base.value, profile.value, "", mixed)
    lines = {**base.lines, **profile.lines}
    known = {at: lines[at] for at in lines if not at.startswith(tuple(mixed))}
    return Document(value, profile.file, known)


def _merged(base: Json, over: Json, path: str, mixed: list[str]) -> Json:
    if isinstance(base, dict) and isinstance(over, dict):
        both = base.keys() & over.keys()
        below = {key: _merged(base[key], over[key], f"{path}.{key}", mixed) for key in both}
        return {**base, **over, **below}
    if not (isinstance(base, list) and isinstance(over, list)) or isinstance(over, Replacement):
        return over
    mixed.append(f"{path[1:]}[")
    key = KEYED_LISTS.get(path.rpartition(".")[2])
    entries = {_identity(entry, key): entry for entry in base}
    for entry in over:
        same = _identity(entry, key)
        entries[same] = _merged(entries.get(same, entry), entry, f"{path}[]", mixed)
    return list(entries.values())


def _identity(entry: Json, key: str | None) -> str:
    """What makes two entries of a list one: their key where they have one, else all they say."""
    named = mapping_of(entry).get(key or "")
    return canonical(entry) if named is None else f"{key} {named}"
