"""A few traces that show what there is: typical ones, and those that are out of the ordinary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evalkit.core.traffic import Glimpse, Traffic

MOST_ERRORS = 4
MOST_TOOLS = 4


@dataclass(frozen=True, slots=True)
class Pick:
    """A trace that is worth a look.

    Attributes:
        glimpse: The trace.
        why: What it stands for.
    """

    glimpse: Glimpse
    why: str


def sample(traffic: Traffic, most: int = 12) -> list[Pick]:
    """Traces that are worth a look, each once, what is typical first.

    Nothing is left to chance: the same traffic gives the same traces.

    Args:
        traffic: What the traces say together.
        most: How many to name.
    """
    picked: dict[str, Pick] = {}
    for pick in _worthwhile(traffic):
        if len(picked) == most:
            break
        picked.setdefault(pick.glimpse.trace_id, pick)
    return list(picked.values())


def _worthwhile(traffic: Traffic) -> Iterator[Pick]:
    by_id = {glimpse.trace_id: glimpse for glimpse in traffic.glimpses}
    timed = sorted((g for g in traffic.glimpses if g.seconds is not None), key=_seconds)
    well = [g for g in timed if g.outcome == "ok"]
    if well:
        yield Pick(well[len(well) // 2], "typical: takes as long as most")
    for cluster in traffic.clusters[:MOST_ERRORS]:
        yield Pick(by_id[cluster.trace_ids[0]], f"goes wrong: {cluster.text or 'no reason given'}")
    if timed:
        yield Pick(timed[-1], "the slowest")
    if heavy := [g for g in traffic.glimpses if g.tokens is not None]:
        yield Pick(max(heavy, key=lambda g: g.tokens or 0), "takes the most tokens")
    for tool in traffic.tools[:MOST_TOOLS]:
        if glimpse := next((g for g in well if tool.name in g.tools), None):
            yield Pick(glimpse, f"uses {tool.name}")
    if timed:
        yield Pick(timed[0], "the quickest")
    spaced = max(1, len(traffic.glimpses) // 8)
    yield from (Pick(g, "one of many") for g in traffic.glimpses[::spaced])


def _seconds(glimpse: Glimpse) -> float:
    return glimpse.seconds or 0.0
