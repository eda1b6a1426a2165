"""What single verdicts cannot know: companions, copies, and a mapping without any input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evalkit.core.dataset import Case, Selector
from evalkit.core.mapping.cues import is_named_gold
from evalkit.core.mapping.evidence import Place
from evalkit.core.mapping.selecting import Found, resolve
from evalkit.core.mapping.verdict import FIRM, Part, Verdict
from evalkit.core.values import Json

SUBSTANTIAL = 12
"""Text shorter than this may be equal by chance."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A place on its way into a mapping.

    Attributes:
        place: The place.
        verdict: What is thought of it so far.
        gives_away: Whether the skill would clearly see what is expected, were this an input;
            stays true of a copy that is left out.
    """

    place: Place
    verdict: Verdict
    gives_away: bool

    @property
    def selector(self) -> Selector:
        """Where it is."""
        return self.place.selector

    @property
    def part(self) -> Part:
        """Where it goes as things stand."""
        return self.verdict.part

    def to(self, part: Part, reason: str) -> Draft:
        """The draft with another verdict, which stands on the company it keeps."""
        return replace(self, verdict=Verdict(part, reason, weight=0))


def draft(place: Place, verdict: Verdict) -> Draft:
    """The first draft of a place."""
    return Draft(place, verdict, verdict.gives_away)


def settle(drafts: Sequence[Draft], cases: Sequence[Case]) -> list[Draft]:
    """The drafts once each has been looked at beside the others."""
    return _with_some_input(without_copies(_by_company(drafts), cases))


def _by_company(drafts: Sequence[Draft]) -> list[Draft]:
    """What nothing is said of, judged by what else its document holds."""
    return [_judged_by_company(each, drafts) if each.part == "open" else each for each in drafts]


def _judged_by_company(draft: Draft, drafts: Sequence[Draft]) -> Draft:
    """Given, where what is expected is marked by its name; expected, among expectations only.

    Only a habit of naming (``expected_…``) is a mark that its absence says something, too.
    """
    beside = [d for d in drafts if d.selector.file == draft.selector.file and d.place.keys]
    expected = [d for d in beside if d.part == "expectations"]
    if not draft.place.keys or not expected:
        return draft
    has_inputs = any(d.part == "inputs" for d in beside)
    if not has_inputs and any(d.part == "inputs" for d in drafts):
        others = f"It lies among what is expected ({expected[0].place.name}), apart from the inputs"
        return draft.to("expectations", others)
    marks = [d.place.name for d in expected if is_named_gold(d.place.name)]
    if marks:
        return draft.to("inputs", f"What is expected is marked as such ({marks[0]}); this is not")
    return draft


def _with_some_input(drafts: Sequence[Draft]) -> list[Draft]:
    """Without any input, what is least unlikely to be one, if that is clear."""
    if any(draft.part == "inputs" for draft in drafts):
        return list(drafts)
    chosen, why = _likely_inputs(drafts)
    return [d.to("inputs", f"{why}; please check") if d in chosen else d for d in drafts]


def _likely_inputs(drafts: Sequence[Draft]) -> tuple[list[Draft], str]:
    """The only undecided file beside what is expected; else undecided fields close to that."""
    undecided = [draft for draft in drafts if draft.part == "open"]
    remarks = [draft for draft in drafts if draft.part == "remark"]
    expected = [draft for draft in drafts if draft.part == "expectations"]
    files = {draft.selector.file for draft in undecided}
    if len(files) == 1 and (expected or len(drafts) == 1):
        same_file = [draft for draft in remarks if draft.selector.file in files]
        return undecided + same_file, "Nothing else can be what the skill is given"
    clear = {draft.selector.file for draft in expected if draft.verdict.weight == FIRM}
    if beside := [draft for draft in undecided if draft.selector.file in clear]:
        return beside, "It lies beside what is clearly expected, and no other input is found"
    if remarks and not undecided:
        return remarks, "The cases hold nothing else that the skill could be given"
    return [], ""


# -- copies --------------------------------------------------------------------------------------


def without_copies(drafts: Sequence[Draft], cases: Sequence[Case]) -> list[Draft]:
    """What two places hold alike in every case is taken once."""
    values = {
        draft.selector: _values(draft.place, cases)
        for draft in drafts
        if draft.part in {"inputs", "expectations"}
    }
    chosen = [draft for draft in drafts if draft.selector in values]
    lost: dict[Selector, Draft] = {}
    for index, one in enumerate(chosen):
        for other in chosen[index + 1 :]:
            if {one.selector, other.selector} & set(lost) or not _may_be_copies(one, other):
                continue
            times = _times_equal(one, other, values[one.selector], values[other.selector])
            if times and (loser := _loser(one, other)):
                keeper = other if loser is one else one
                reason = (
                    f"It holds the same as {keeper.selector} in all {times} cases that have "
                    f"both, and that is among the {keeper.part}"
                )
                given_away = loser.gives_away or keeper.part == "expectations"
                lost[loser.selector] = replace(loser.to("out", reason), gives_away=given_away)
    return [lost.get(draft.selector, draft) for draft in drafts]


def _may_be_copies(one: Draft, other: Draft) -> bool:
    return one.part != other.part or one.place.name == other.place.name


def _loser(one: Draft, other: Draft) -> Draft | None:
    """Which of two copies goes.

    An expectation that is as clear as the input drives it out, since it would give the answer
    away; otherwise the input stays and is not expected a second time. Where the words are clear
    about two names, the skill is to return what it is given, and both stay.
    """
    if one.part == other.part:
        return min(other, one, key=lambda draft: draft.place.hits)
    given, expected = (one, other) if one.part == "inputs" else (other, one)
    if given.verdict.weight > expected.verdict.weight:
        return expected
    both_clear = given.verdict.weight == expected.verdict.weight == FIRM
    return None if both_clear and given.place.name != expected.place.name else given


def _values(place: Place, cases: Sequence[Case]) -> list[Json]:
    """What each case holds there; None where it holds nothing."""
    results = (resolve(place.selector, case) for case in cases)
    return [result.value if isinstance(result, Found) else None for result in results]


def _times_equal(one: Draft, other: Draft, values: list[Json], others: list[Json]) -> int:
    """In how many cases both hold the same; 0 where one differs, or may be equal by chance."""
    same_name = one.place.name == other.place.name
    both = list(_pairs(values, others))
    alike = all(a == b and (same_name or _is_substantial(a)) for a, b in both)
    return len(both) if alike else 0


def _pairs(values: list[Json], others: list[Json]) -> Iterator[tuple[Json, Json]]:
    return ((a, b) for a, b in zip(values, others, strict=True) if a is not None and b is not None)


def _is_substantial(value: Json) -> bool:
    if isinstance(value, str):
        return len(value) >= SUBSTANTIAL
    return isinstance(value, (list, dict)) and len(value) > 1
