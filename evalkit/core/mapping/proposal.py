"""A mapping with its reasons: places gathered, judged by the rules, settled, and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from evalkit.core.dataset import Case, SchemaMapping, Selector
from evalkit.core.mapping.deciding import decide_fields, decide_whole
from evalkit.core.mapping.evidence import Evidence, file_name, whole
from evalkit.core.mapping.schema_mapping import SIMULATION_KEY, cover
from evalkit.core.mapping.settling import Draft, draft, settle
from evalkit.core.mapping.survey import Shape, survey
from evalkit.core.mapping.verdict import Part

Side: TypeAlias = Literal["inputs", "expectations"]

_SIDES: Mapping[Part, Side] = {"inputs": "inputs", "expectations": "expectations"}

MAX_FIELDS = 60
"""Of a document with more fields than this, only the most frequent are proposed."""

RARE = 0.01
"""Files in fewer than this share of the cases are summed up, not proposed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of a proposal.

    Attributes:
        side: Where it goes; None where it is left out.
        name: What a record calls it.
        selector: What feeds it; None for something that no single selector can name.
        reason: Why, in a sentence.
        coverage: (cases in which the selector is found, all cases).
        gives_away: Whether the skill would clearly see what is expected, were this an input.
    """

    side: Side | None
    name: str
    selector: Selector | None
    reason: str
    coverage: tuple[int, int]
    gives_away: bool = False

    @property
    def key(self) -> str:
        """What the report calls it: the selector, or the name of what has none."""
        return str(self.selector) if self.selector else self.name


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mapping with what speaks for each of its lines, and what was left out and why.

    Attributes:
        choices: Inputs, expectations and what was left out, as the cases hold them.
    """

    choices: tuple[Choice, ...]

    def chosen(self, side: Side | None) -> list[Choice]:
        """The choices of one side; those left out for None."""
        return [choice for choice in self.choices if choice.side == side]

    @property
    def mapping(self) -> SchemaMapping:
        """The mapping itself."""
        return SchemaMapping(
            {c.name: c.selector for c in self.chosen("inputs") if c.selector},
            {c.name: c.selector for c in self.chosen("expectations") if c.selector},
        )

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why, by selector or name, also for what was left out."""
        return {choice.key: choice.reason for choice in self.choices}

    @property
    def coverage(self) -> Mapping[str, tuple[int, int]]:
        """How often each selector of the mapping is found, by selector."""
        return {c.key: c.coverage for c in self.choices if c.side and c.selector}


def propose_by_rules(
    schema: str, cases: Sequence[Case], arguments: str = "", judges: str = ""
) -> Proposal:
    """A mapping for the cases, by rules.

    Args:
        schema: The prose of ``dataset.schema``; may be empty.
        cases: All cases.
        arguments: The template of the skill's arguments, such as ``{question} --lang {lang}``.
        judges: Code and prompts of the judges, as further evidence; may be empty.
    """
    evidence = Evidence(schema, survey(cases), arguments, judges)
    drafts = settle([*_documents(evidence), *_text_files(evidence, cases)], cases)
    choices = choose(drafts, evidence.found.total)
    return Proposal((*choices, *_summed_up(evidence), *_unknown(evidence)))


# -- gathering -----------------------------------------------------------------------------------


def _is_proposable(file: str, evidence: Evidence) -> bool:
    """Whether the file is the case's own, and not one of a workspace that comes with it."""
    if evidence.found.files[file] < RARE * evidence.found.total:
        return False
    return "/" not in file or _is_known_folder(file, evidence)


def _is_known_folder(file: str, evidence: Evidence) -> bool:
    """Whether a file in a folder is spoken of, or the folder's name says what it is for."""
    lean = evidence.role(file).lean
    return bool(evidence.about_file(file)) or (
        lean is not None and lean.side in {"input", "expectation"}
    )


def _documents(evidence: Evidence) -> Iterator[Draft]:
    for file, shape in evidence.found.documents.items():
        if not _is_proposable(file, evidence) or shape.count == shape.nulls:
            continue
        if shape.is_object and not _is_answer_in_folder(file, evidence):
            decided = decide_fields(file, _most_frequent(shape), evidence)
            yield from (draft(place, verdict) for place, verdict in decided)
        elif shape.keys or not shape.objects:
            place = whole(file, shape.count, shape)
            yield draft(place, decide_whole(place, evidence))


def _is_answer_in_folder(file: str, evidence: Evidence) -> bool:
    """An ``expected/order.json`` is one thing to compare with, not a record of fields."""
    lean = evidence.role(file).lean
    return "/" in file and lean is not None and lean.side == "expectation"


def _most_frequent(shape: Shape) -> Shape:
    if len(shape.keys) <= MAX_FIELDS:
        return shape
    by_count = sorted(shape.keys, key=lambda key: -shape.keys[key].count)
    kept = set(by_count[:MAX_FIELDS])
    return replace(shape, keys={key: each for key, each in shape.keys.items() if key in kept})


def _text_files(evidence: Evidence, cases: Sequence[Case]) -> Iterator[Draft]:
    """Each by itself; those of a folder by a pattern, where they are called as the case likes."""
    patterns = _patterns(evidence)
    gathered = {file for files in patterns.values() for file in files}
    for file, hits in evidence.found.texts.items():
        if file not in gathered and _is_proposable(file, evidence):
            place = whole(file, hits)
            yield draft(place, decide_whole(place, evidence))
    for pattern in patterns:
        place = whole(pattern, 0)
        hits, _ = cover([place.selector], cases)[str(place.selector)]
        yield draft(replace(place, hits=hits), decide_whole(place, evidence))


def _patterns(evidence: Evidence) -> dict[str, list[str]]:
    """Patterns for known folders, most of whose files are in one case only."""
    found: dict[str, list[str]] = {}
    for file in evidence.found.texts:
        if "/" in file and _is_known_folder(file, evidence):
            path = PurePosixPath(file)
            found.setdefault(f"{path.parent}/*{path.suffix}", []).append(file)
    return {pattern: files for pattern, files in found.items() if _differ(files, evidence)}


def _differ(files: Sequence[str], evidence: Evidence) -> bool:
    alone = sum(evidence.found.texts[file] == 1 for file in files)
    return evidence.found.total > 1 and alone > 1 and 2 * alone > len(files)


# -- choices and names ---------------------------------------------------------------------------


def choose(
    drafts: Sequence[Draft], total: int, names: Mapping[Selector, str] | None = None
) -> list[Choice]:
    """The drafts as lines of a proposal, with names that MLflow takes.

    Args:
        drafts: What was decided.
        total: How many cases there are.
        names: What to call them; by their keys and files otherwise.
    """
    return with_good_names([_choice(each, total, names or {}) for each in drafts])


def _choice(draft: Draft, total: int, names: Mapping[Selector, str]) -> Choice:
    place, shape = draft.place, draft.place.shape
    reason = draft.verdict.reason
    if shape and shape.nulls:
        reason += f"; null in {shape.nulls} of {shape.count} cases"
    return Choice(
        _SIDES.get(draft.part),
        names.get(place.selector) or place.name.replace(".", "_"),
        place.selector,
        f"{reason}.",
        (place.hits, total),
        draft.gives_away,
    )


def with_good_names(choices: Sequence[Choice]) -> list[Choice]:
    """The choices, each with a name that is its own on its side and that MLflow takes.

    A name that two share, or that MLflow keeps for simulated conversations, is preceded by what
    it is a part of: the object or the file.
    """
    counts: Counter[tuple[Side | None, str]] = Counter(
        (choice.side, choice.name) for choice in choices if choice.side
    )
    taken: set[tuple[Side | None, str]] = set()
    named = []
    for choice in choices:
        reserved = choice.side == "inputs" and choice.name == SIMULATION_KEY
        better = choice
        if reserved or counts[choice.side, choice.name] > 1:
            name = next(n for n in longer_names(choice) if (choice.side, n) not in taken)
            better = replace(choice, name=name)
        if reserved:
            better = replace(
                better,
                reason=f"{better.reason} Called {better.name} because MLflow keeps the input "
                f"“{SIMULATION_KEY}” for simulated conversations.",
            )
        taken.add((better.side, better.name))
        named.append(better)
    return named


def longer_names(choice: Choice) -> Iterator[str]:
    """Its name preceded by more and more of what it is a part of; none without a selector."""
    if choice.selector is None:
        return
    file = PurePosixPath(choice.selector.file)
    keys = choice.selector.path.split(".")[:-1]
    owners = [*reversed(keys), file_name(str(file)), *reversed(file.parts[:-1]), file.suffix[1:]]
    name = choice.name
    for owner in filter(None, owners):
        name = f"{owner}_{name}".replace(".", "_")
        yield name
    yield from (f"{name}_{number}" for number in range(2, 1000))


# -- what is left out without a selector ---------------------------------------------------------


def _summed_up(evidence: Evidence) -> Iterator[Choice]:
    """Files of workspaces, and files that hardly any case has, by their folder."""
    found = evidence.found
    folders: Counter[str] = Counter()
    for file, hits in found.files.items():
        if not _is_proposable(file, evidence):
            folders[f"{PurePosixPath(file).parts[0]}/" if "/" in file else "*"] += hits
        elif file not in found.documents and file not in found.texts:
            yield Choice(None, file, None, "It is no text, or too large.", (hits, found.total))
    for folder, files in folders.items():
        what = "called differently in nearly every case"
        if folder != "*":
            what = "the schema does not speak of this folder; it seems to be a workspace"
        count = "1 file" if files == 1 else f"{files} files"
        yield Choice(None, folder, None, f"{count}: {what}.", (0, found.total))


def _unknown(evidence: Evidence) -> Iterator[Choice]:
    for name, who in evidence.unknown_names():
        reason = f"Named by {who}, but no case holds it."
        yield Choice(None, name, None, reason, (0, evidence.found.total))
