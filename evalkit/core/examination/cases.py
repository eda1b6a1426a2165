"""Traces that are worth being cases of an evaluation: few, of different inputs, covering much."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from evalkit.core.brevity import short
from evalkit.core.traffic import Traffic

MOST = 24
"""Cases that are suggested."""

REASONS = 3
"""Reasons that are given for one case."""

REASON_CHARS = 120


@dataclass(frozen=True, slots=True)
class Seen:
    """What matters of a trace when cases are chosen.

    Attributes:
        trace_id: The trace.
        route: What was called.
        outcome: ``ok``, ``failed`` or ``not over``.
        seconds: How long it took; None where that is not known.
        answered: Whether it gave an answer.
        tools: The tools that it used.
        failed_tools: Those of them that failed.
        shape: The form of its inputs.
        exact: What equal inputs share.
        near: What nearly equal inputs share.
        negative: Under which names it was assessed badly.
    """

    trace_id: str
    route: str
    outcome: str
    seconds: float | None
    answered: bool
    tools: tuple[str, ...]
    failed_tools: tuple[str, ...]
    shape: str
    exact: bytes
    near: bytes
    negative: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether it ended well, gave an answer, and nobody called it bad."""
        return self.outcome == "ok" and self.answered and not self.negative


@dataclass(frozen=True, slots=True)
class Case:
    """A trace that is worth being a case.

    Attributes:
        trace_id: The trace.
        route: What was called.
        why: What it stands for.
    """

    trace_id: str
    route: str
    why: str


Pick: TypeAlias = tuple[Seen, str]


def choose(seen: Sequence[Seen], traffic: Traffic, most: int = MOST) -> tuple[Case, ...]:
    """Cases by what they cover, the most telling first; no two have the same inputs.

    Each kind of reason has its turn, so that a hundred errors leave room for a second route.
    Nothing is left to chance: the same traces give the same cases.

    Args:
        seen: The traces whose inputs are known.
        traffic: What all traces say together.
        most: How many cases to name.
    """
    over = [each for each in seen if each.outcome != "not over"]
    choice = _Choice(most)
    by_route = _by_route(over)
    kinds = (
        _typical(by_route),
        _errors(over, traffic),
        _negative(over),
        _tools(over, choice),
        _shapes(over, choice),
        _failing_tools(over),
        _slowest(by_route),
    )
    for pick in _in_turn(kinds):
        choice.take(*pick)
    for pick in _others(over, choice):
        choice.take(*pick)
    return choice.cases()


@dataclass(slots=True)
class _Choice:
    """The cases chosen so far."""

    most: int
    _chosen: dict[tuple[str, bytes], tuple[Seen, list[str]]] = field(default_factory=dict)
    _covered: set[tuple[str, ...]] = field(default_factory=set)
    _near: set[tuple[str, bytes]] = field(default_factory=set)

    def take(self, seen: Seen, why: str) -> None:
        """Make a trace a case, or the reason one more for the case with the same inputs."""
        key = (seen.route, seen.exact)
        if key in self._chosen:
            case, reasons = self._chosen[key]
            other = (
                "" if case.trace_id == seen.trace_id else f"with the same inputs {seen.trace_id}: "
            )
            if len(reasons) < REASONS:
                reasons.append(other + why)
            return
        if len(self._chosen) == self.most:
            return
        self._chosen[key] = (seen, [why])
        self._near.add((seen.route, seen.near))
        self._covered.add(("shape", seen.route, seen.shape))
        if seen.is_good:
            self._covered.update(("tool", tool) for tool in seen.tools)

    def covers(self, *what: str) -> bool:
        """Whether a case shows it already."""
        return what in self._covered

    def knows(self, seen: Seen) -> bool:
        """Whether a case has nearly the same inputs."""
        return (seen.route, seen.near) in self._near

    def cases(self) -> tuple[Case, ...]:
        """The cases, in the order in which they were chosen."""
        return tuple(
            Case(seen.trace_id, seen.route, "; ".join(reasons))
            for seen, reasons in self._chosen.values()
        )


def _in_turn(kinds: Iterable[Iterator[Pick]]) -> Iterator[Pick]:
    pending = list(kinds)
    while pending:
        still = []
        for kind in pending:
            if (pick := next(kind, None)) is not None:
                yield pick
                still.append(kind)
        pending = still


def _by_route(seen: Iterable[Seen]) -> Mapping[str, list[Seen]]:
    """The traces of each route by how long they took, the most used route first."""
    routes: defaultdict[str, list[Seen]] = defaultdict(list)
    for each in seen:
        routes[each.route].append(each)
    return {
        route: sorted(found, key=_seconds)
        for route, found in sorted(routes.items(), key=lambda item: (-len(item[1]), item[0]))
    }


def _typical(by_route: Mapping[str, list[Seen]]) -> Iterator[Pick]:
    for route, found in by_route.items():
        if good := [each for each in found if each.is_good]:
            yield good[len(good) // 2], f"typical of {route}: takes as long as most"


def _slowest(by_route: Mapping[str, list[Seen]]) -> Iterator[Pick]:
    for route, found in by_route.items():
        timed = [each for each in found if each.is_good and each.seconds is not None]
        if len(timed) > 1:
            yield timed[-1], f"the slowest of {route} that is good: {_seconds(timed[-1]):.3g} s"


def _errors(seen: Iterable[Seen], traffic: Traffic) -> Iterator[Pick]:
    by_id = {each.trace_id: each for each in seen}
    for cluster in sorted(traffic.clusters, key=lambda each: each.outcome != "failed"):
        ids = (trace_id for trace_id in cluster.trace_ids if trace_id in by_id)
        if (trace_id := next(ids, None)) is not None:
            what = "fails" if cluster.outcome == "failed" else "gets over an error"
            reason = short(cluster.text, REASON_CHARS) or "no reason given"
            yield by_id[trace_id], f"{what}: {reason}"


def _negative(seen: Iterable[Seen]) -> Iterator[Pick]:
    """Of each name under which traces were assessed badly, one, then those bad in most ways."""
    bad = sorted((each for each in seen if each.negative), key=lambda each: -len(each.negative))
    first = {name: each for each in reversed(bad) for name in each.negative}
    for each in dict.fromkeys([*first.values(), *bad]):
        yield each, f"assessed badly: {', '.join(each.negative)}"


def _tools(seen: Iterable[Seen], choice: _Choice) -> Iterator[Pick]:
    first = {tool: each for each in seen if each.is_good for tool in reversed(each.tools)}
    uses = Counter(tool for each in seen for tool in each.tools)
    for tool, _ in uses.most_common():
        if tool in first and not choice.covers("tool", tool):
            yield first[tool], f"uses {tool}"


def _failing_tools(seen: Iterable[Seen]) -> Iterator[Pick]:
    fails = Counter(tool for each in seen for tool in each.failed_tools)
    first = {tool: each for each in seen for tool in each.failed_tools}
    yield from ((first[tool], f"{tool} fails in it") for tool, _ in fails.most_common())


def _shapes(seen: Iterable[Seen], choice: _Choice) -> Iterator[Pick]:
    forms = Counter((each.route, each.shape) for each in seen)
    first: dict[tuple[str, str], Seen] = {}
    for each in seen:
        known = first.setdefault((each.route, each.shape), each)
        if each.is_good and not known.is_good:
            first[each.route, each.shape] = each
    for (route, shape), count in forms.most_common():
        if not choice.covers("shape", route, shape):
            form = short(shape, REASON_CHARS)
            yield first[route, shape], f"one of {count} with inputs of the form {form}"


def _others(seen: Sequence[Seen], choice: _Choice) -> Iterator[Pick]:
    """Inputs like no case's, first from all over the time, good ones only before others."""
    for wanted in (True, False):
        pool = [each for each in seen if each.is_good is wanted]
        step = max(1, len(pool) // MOST)
        for each in [*pool[::step], *pool]:
            if not choice.knows(each):
                yield each, "other inputs than those before"


def _seconds(seen: Seen) -> float:
    return seen.seconds or 0.0
