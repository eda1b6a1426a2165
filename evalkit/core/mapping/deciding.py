"""Which parts of a document are judged on their own, and what the rules say of each."""

from __future__ import annotations

from collections.abc import Iterator

from evalkit.core.dataset import Selector
from evalkit.core.mapping.cues import description_lean, is_named_for_judges
from evalkit.core.mapping.evidence import Evidence, Place
from evalkit.core.mapping.rules import decide
from evalkit.core.mapping.survey import Shape
from evalkit.core.mapping.verdict import FIRM, Part, Verdict


def decide_fields(file: str, root: Shape, evidence: Evidence) -> list[tuple[Place, Verdict]]:
    """The verdicts on all fields of a document, the nested ones only where they differ."""
    return [
        decided
        for key, shape in root.keys.items()
        for decided in _decide_below(_field(file, (key,), shape), evidence, None)
    ]


def decide_whole(place: Place, evidence: Evidence) -> Verdict:
    """The verdict on a file that a record takes whole."""
    verdict = decide(place, evidence)
    if verdict.part != "expectations" and _hides_answers(place.shape):
        return Verdict("mixed", "It also holds what is expected, and no selector parts them")
    return verdict


def _decide_below(
    place: Place, evidence: Evidence, parent: Verdict | None
) -> Iterator[tuple[Place, Verdict]]:
    """One verdict, or one for each part.

    An object stays whole unless the prose or the arguments name its parts, it is a mere container
    ("inputs"), or something expected hides among its parts.
    """
    verdict = decide(place, evidence, parent)
    hides = verdict.part != "expectations" and _hides_answers(place.shape)
    if place.shape and place.shape.is_object and (hides or _is_opened(place, evidence)):
        above = _as_container(place, verdict)
        for key, shape in place.shape.keys.items():
            part = _field(place.selector.file, (*place.keys, key), shape)
            yield from _decide_below(part, evidence, above)
    elif hides and not evidence.is_argued(place):
        yield place, Verdict("mixed", "Its items hold what is expected, and no selector parts them")
    else:
        yield place, verdict


def _field(file: str, keys: tuple[str, ...], shape: Shape) -> Place:
    return Place(Selector(file, ".".join(keys)), keys, shape, shape.count)


def _is_opened(place: Place, evidence: Evidence) -> bool:
    if any(name.startswith(f"{place.name}.") for name in evidence.argued):
        return True
    named = {s.subject for s in evidence.prose if not s.is_file}
    paths = {place.selector.path, place.name}
    return _is_container(place) or any(
        f"{path}.{key}" in named
        for key in (place.shape.keys if place.shape else ())
        for path in paths
    )


def _is_container(place: Place) -> bool:
    return place.name.lower() in {"input", "inputs", "expectation", "expectations"}


def _as_container(place: Place, verdict: Verdict) -> Verdict:
    """A container's name is as good as a heading above its parts."""
    lean = description_lean(place.name) if _is_container(place) else None
    if lean is None or verdict.weight == FIRM:
        return verdict
    part: Part = "inputs" if lean.side == "input" else "expectations"
    return Verdict(part, f"It is written under “{place.name}”")


def _hides_answers(shape: Shape | None) -> bool:
    return shape is not None and any(map(is_named_for_judges, shape.names_inside()))
