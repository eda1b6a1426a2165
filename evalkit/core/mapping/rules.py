"""The rules by which a place becomes an input, an expectation, or neither.

They are asked in order and the first that knows decides. Two mistakes are not equally bad: an
expected answer among the inputs gives the answer away, so wherever the evidence is divided a
place is no input. A prompt among the expectations comes next.

Fields that only sort or describe cases (category, tags, difficulty, author) are left out: the
skill does not get them and no judge expects them of it. They go in where the prose, the arguments
or the file's own description says that the skill gets them, or that judges compare with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from evalkit.core.mapping.cues import Lean, is_named_for_judges, name_lean
from evalkit.core.mapping.evidence import Evidence, Place, Role, Said, short
from evalkit.core.mapping.verdict import FIRM, Verdict


@dataclass(frozen=True, slots=True)
class _View:
    """One place with all that speaks about it.

    Attributes:
        place: The place.
        said: What the prose says of it alone.
        shared: What the prose says of it with others.
        name: What its name leans to.
        role: What its file is for.
        argued: Whether the skill's arguments take it.
        judged: What judges read it from; empty where they do not.
        words: The prose's own words on it, whatever they lean to.
        rest: What the prose says of everything that it does not speak of.
        mentioned: Whether the prose speaks of it at all.
        parent: The verdict on the object that it is a part of.
    """

    place: Place
    said: Said | None
    shared: Said | None
    name: Lean | None
    role: Role
    argued: bool
    judged: str
    words: str
    rest: Said | None
    mentioned: bool
    parent: Verdict | None

    @property
    def file(self) -> str:
        return self.place.selector.file

    def is_named(self, side: str) -> bool:
        return self.name is not None and self.name.side == side

    @property
    def is_named_gold(self) -> bool:
        return self.name is not None and self.name.kind == "gold"

    @property
    def is_named_for_judges(self) -> bool:
        return is_named_for_judges(self.place.name)

    @property
    def is_among_expected(self) -> bool:
        """Whether its file, or the line above it, is about what is expected."""
        below = self.shared is not None and self.shared.lean.side == "expectation"
        return below or self.is_in_file_for("expectation")

    def is_in_file_for(self, side: str) -> bool:
        return self.role.lean is not None and self.role.lean.side == side


Rule: TypeAlias = Callable[[_View], Verdict | None]


def _withheld(view: _View) -> Verdict | None:
    """What the skill is kept from is no input, whatever else is said."""
    if view.argued:
        return None
    if view.said and view.said.lean.kind in {"withheld", "judged"}:
        return _kept(view.said)
    is_given = view.said is not None and view.said.lean.kind == "delivered"
    if view.shared and view.shared.lean.kind in {"withheld", "judged"} and not is_given:
        if view.is_named("metadata"):
            return Verdict("out", f"It sorts cases, and {_quoted(view.shared)}")
        return _kept(view.shared)
    return None


def _kept(said: Said) -> Verdict:
    why = "kept from the skill" if said.lean.kind == "withheld" else "for the judges"
    return Verdict("expectations", f"It is {why}: {_quoted(said)}")


def _argued(view: _View) -> Verdict | None:
    if not view.argued:
        return None
    taken = f"The skill's arguments take {{{view.place.name}}}"
    if view.said and view.said.lean.side == "expectation":
        return Verdict(
            "expectations", f"{taken}, but {_quoted(view.said)}; in doubt it is no input"
        )
    return Verdict("inputs", f"{taken}{_and_said(view)}")


def _said(view: _View) -> Verdict | None:
    if not view.said:
        return None
    lean = view.said.lean
    if lean.side == "expectation":
        return Verdict(
            "expectations", f"It says what is expected: {_quoted(view.said)}", lean.weight
        )
    if lean.side == "metadata":
        return Verdict("out", f"It sorts cases: {_quoted(view.said)}")
    if view.is_named_gold or (view.is_named_for_judges and lean.kind == "word"):
        return Verdict(
            "expectations",
            f"Its name says “{view.name.cue if view.name else ''}”, though {_quoted(view.said)}; "
            "in doubt it is no input",
        )
    if lean.kind == "word" and (view.is_named("metadata") or view.is_among_expected):
        return None
    return Verdict("inputs", f"It is what the skill works on: {_quoted(view.said)}", lean.weight)


def _named_for_judges(view: _View) -> Verdict | None:
    if view.name and view.is_named_for_judges:
        return Verdict("expectations", f"Its name says “{view.name.cue}”{_and_said(view)}")
    return None


def _shared(view: _View) -> Verdict | None:
    if not view.shared:
        return None
    lean = view.shared.lean
    listed = f"It is listed under “{short(view.shared.quote)}”"
    if lean.side == "expectation":
        return Verdict("expectations", listed, lean.weight)
    if lean.side == "metadata":
        return Verdict("out", listed)
    if lean.kind == "word" and view.is_in_file_for("expectation"):
        return None
    return Verdict("inputs", listed, lean.weight)


def _part_of(view: _View) -> Verdict | None:
    parent = view.parent
    if parent is None or parent.part == "open":
        return None
    if parent.part == "inputs" and view.is_named("expectation") and parent.weight < FIRM:
        return None
    owner = ".".join(view.place.keys[:-1])
    return Verdict(parent.part, f"It is a part of {owner}. {parent.reason}", parent.weight)


def _judged(view: _View) -> Verdict | None:
    """That judges read a field of the inputs says nothing; they may look at everything."""
    if not view.judged or view.is_in_file_for("input"):
        return None
    return Verdict("expectations", f"The judges read it from {view.judged}")


def _sorts_cases(view: _View) -> Verdict | None:
    if view.name and view.is_named("metadata"):
        return Verdict(
            "out",
            f"“{view.name.cue}” sorts or describes cases, and nothing says that the skill gets it "
            f"or that it is expected of it{_and_said(view)}",
        )
    return None


def _rest(view: _View) -> Verdict | None:
    """What the prose says of "everything else"."""
    rest = view.rest
    if rest is None or view.words or view.is_named("expectation"):
        return None
    if rest.lean.side == "expectation":
        return Verdict("expectations", f"It is part of the rest: {_quoted(rest)}", 1)
    if rest.lean.side == "input" and not view.is_in_file_for("expectation"):
        return Verdict("inputs", f"It is part of the rest: {_quoted(rest)}", 1)
    return None


def _in_input_file(view: _View) -> Verdict | None:
    if not view.is_in_file_for("input"):
        return None
    if view.name and view.is_named("expectation") and view.name.cue not in {"min", "max"}:
        return Verdict(
            "expectations",
            f"It lies beside inputs, but its name says “{view.name.cue}”; in doubt it is no input",
            weight=0,
        )
    if view.name and view.is_named("remark") and not view.mentioned:
        return Verdict(
            "remark",
            f"A “{view.name.cue}” that the schema does not mention is usually for readers of the "
            "case, and may give the answer away",
            weight=0,
        )
    where = f"It lies in {view.file}, {view.role.reason}{_and_said(view)}"
    return Verdict("inputs", where, weight=int(view.is_named("input")))


def _in_expectation_file(view: _View) -> Verdict | None:
    if not view.is_in_file_for("expectation"):
        return None
    return Verdict(
        "expectations", f"It lies in {view.file}, {view.role.reason}{_and_said(view)}", weight=0
    )


def _in_metadata_file(view: _View) -> Verdict | None:
    if view.is_in_file_for("metadata") or view.is_in_file_for("remark"):
        return Verdict("out", f"It lies in {view.file}, {view.role.reason}", weight=0)
    return None


def _by_its_name(view: _View) -> Verdict | None:
    """The last resort in a file that may hold anything."""
    if not view.name:
        return None
    says = f"Its name says “{view.name.cue}”{_and_said(view)}"
    if view.is_named("expectation"):
        return Verdict("expectations", says, weight=1)
    if view.is_named("input"):
        return Verdict("inputs", says, weight=1)
    if view.is_named("remark"):
        return Verdict("remark", says, weight=0)
    return None


RULES: tuple[Rule, ...] = (
    _withheld,
    _argued,
    _said,
    _named_for_judges,
    _shared,
    _part_of,
    _judged,
    _sorts_cases,
    _rest,
    _in_input_file,
    _in_expectation_file,
    _in_metadata_file,
    _by_its_name,
)


def decide(place: Place, evidence: Evidence, parent: Verdict | None = None) -> Verdict:
    """What the first rule that knows says of a place."""
    view = _View(
        place=place,
        said=evidence.said(place) if place.keys else None,
        shared=evidence.shared(place),
        name=name_lean(place.name) if place.keys else None,
        role=evidence.role(place.selector.file),
        argued=evidence.is_argued(place),
        judged=evidence.judged.get(place.name, "") if place.keys else "",
        words=evidence.words_on(place) if place.keys else "",
        rest=evidence.rest,
        mentioned=bool(evidence.about(place)),
        parent=parent,
    )
    for rule in RULES:
        if verdict := rule(view):
            return verdict
    nothing = f"Nothing says whether the skill gets it or it is expected{_and_said(view)}"
    return Verdict("open", nothing, weight=int(bool(view.words)))


def _quoted(said: Said) -> str:
    return f"the schema says “{short(said.quote)}”"


def _and_said(view: _View) -> str:
    """The prose's own words, which help a reader even where they lean to no side."""
    return f"; the schema says “{short(view.words)}”" if view.words else ""
