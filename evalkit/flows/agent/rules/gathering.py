"""What the rules look at before they decide: the report on all traces, and a profile per route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evalkit.core.content import list_of, mapping_of
from evalkit.core.values import Json
from evalkit.flows.agent.rules.hearing import Heard
from evalkit.flows.agent.rules.moves import Call, Move, use

MOST_ROUTES = 6
"""Routes that a suite covers; of more, those that cases are suggested for first."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is known about an experiment.

    Attributes:
        report: The report on all traces.
        profiles: What the good answers of each route have in common; only routes that have any.
    """

    report: Mapping[str, Json]
    profiles: Mapping[str, Mapping[str, Json]]

    def learned(self, check: str) -> dict[str, Mapping[str, Json]]:
        """What was learned for a check, by route; only where good answers support it."""
        found = {route: _check(profile, check) for route, profile in self.profiles.items()}
        return {route: learned for route, learned in found.items() if learned.get("on") is True}

    def unlearned(self, check: str) -> dict[str, str]:
        """Why a check is not made, by route."""
        found = {route: _check(profile, check) for route, profile in self.profiles.items()}
        return {
            route: str(learned.get("why", ""))
            for route, learned in found.items()
            if learned.get("on") is not True
        }

    def expectations(self, trace_id: str, route: str) -> dict[str, Json]:
        """What a row of that trace has to hold to; nothing where its route is not known."""
        suggested = mapping_of(mapping_of(self.profiles.get(route, {}).get("cases")).get(trace_id))
        expected = {name: value for name, value in suggested.items() if value}
        return {"route": route, **expected} if route else {}

    @property
    def routes_of_cases(self) -> dict[str, str]:
        """The route of each trace that is suggested as a case."""
        return {str(case["trace_id"]): str(case["route"]) for case in cases_of(self.report)}


def _check(profile: Mapping[str, Json], check: str) -> Mapping[str, Json]:
    return mapping_of(mapping_of(profile.get("checks")).get(check))


def cases_of(report: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """The cases that the report suggests."""
    return [mapping_of(case) for case in list_of(report.get("cases"))]


def routes_of(report: Mapping[str, Json]) -> list[str]:
    """The routes that are worth a profile, those of suggested cases first."""
    named = [case.get("route") for case in cases_of(report)]
    named += [mapping_of(route).get("route") for route in list_of(report.get("routes"))]
    return list(dict.fromkeys(str(route) for route in named if route))[:MOST_ROUTES]


def gathered(known: Heard, *others: Call) -> Gathered | Move:
    """What is known, or what to do to know it.

    Args:
        known: The conversation.
        others: What else is to be asked for along with it.
    """
    looked = known.last("analyze_experiment")
    if looked is None:
        return use("First a look at all traces.", ("analyze_experiment", {}))
    report = looked.json
    if looked.failed or not report:
        return Move(f"There is no report on the traces to go by: {looked.text[:500]}")
    profiles = known.profiles()
    missing = [route for route in routes_of(report) if route not in profiles]
    calls = [*(Call("profile_outputs", {"route": route}) for route in missing), *others]
    if calls:
        return Move("Now what the good answers have in common.", tuple(calls))
    return Gathered(report, {r: found for r, found in profiles.items() if found.get("good_traces")})
