"""The analysis that follows from a report and profiles: findings, cases, scorers, limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from evalkit.core.content import list_of, mapping_of
from evalkit.core.examination.profile_checks import (
    CHARS_MORE,
    CHECKS,
    MARGIN,
    SECONDS_MORE,
    STRANGE,
)
from evalkit.core.values import Json
from evalkit.flows.agent.rules.gathering import Gathered, cases_of

EVIDENCE = 6
FINDINGS = 12

WHAT: Mapping[str, str] = {
    "no_error": "The agent answers, and not with an error's text.",
    "format_kept": "The answer has the form of the good answers: kinds and fields always there.",
    "parts_present": "The answer holds the wording that every good answer holds.",
    "label_kept": "The answer is the label that good answers to the same case are.",
    "grounded": "Numbers, dates, ids and addresses in the answer come from inputs or tools.",
    "on_topic": "The answer mentions the terms that are this case's own.",
    "tools_used": "The tools are used that good answers used.",
    "tools_worked": "The tools work: at once, or in the end where good answers take second tries.",
    "in_time": "The answer comes about as fast as good ones.",
    "length_usual": "The answer is about as long as good ones.",
    "not_cut_off": "The answer ends as a complete text does.",
}

WHY: Mapping[str, str] = {
    "no_error": "without an answer nothing else matters, and an error's text is none",
    "format_kept": "whoever reads the answer by program relies on its form",
    "parts_present": "what all good answers hold is most likely asked for",
    "label_kept": "the answers are labels, of which there are few, so another one is another "
    "answer",
    "grounded": "good answers here make up no figures, so a figure from nowhere is suspect",
    "on_topic": "an answer that holds none of them most likely answers something else",
    "tools_used": "an answer without them is most likely guessed",
    "tools_worked": "good answers here come about without failures, or with none that a second "
    "try did not mend",
    "in_time": f"the bound is {MARGIN:g} times what 19 of 20 good answers took, and "
    f"{SECONDS_MORE:g} s more, and never less than a good answer took that is not strange (more "
    f"than {STRANGE} times as slow as those)",
    "length_usual": f"the bounds are a third of the shortest and {MARGIN:g} times the longest of "
    f"19 of 20 good answers, and {CHARS_MORE} characters more, and never less than a good answer "
    f"has that is not strange (more than {STRANGE} times as long as those)",
    "not_cut_off": "good answers here end with a sentence's end, closed code or a list's item",
}

GUIDELINES: Mapping[str, str] = {
    "answers_the_request": "The response addresses what the request asks for, all of it, and says "
    "so where it cannot.",
    "keeps_to_its_sources": "The response states no facts that are neither in the request, nor "
    "in what tools returned, nor common knowledge.",
    "fit_to_be_sent": "The response is polite, clear and free of internal details such as tool "
    "names, identifiers of systems, or reasoning that was not asked for.",
}


def analysis_of(found: Gathered) -> dict[str, Json]:
    """The analysis, as the tool ``save_findings`` takes it."""
    report = found.report
    return {
        "summary": _summary(found),
        "strategy": "traces",
        "strategy_why": "Rules invent no cases: every row is a recorded request, chosen so that "
        "routes, kinds of failure, tools and forms of input are all covered.",
        "findings": list(_findings(report))[:FINDINGS],
        "cases": [{"trace_id": case["trace_id"], "why": case["why"]} for case in cases_of(report)],
        "scorers": list(_scorers(found)),
        "guidelines": list(_guidelines(found)),
        "limits": list(_limits(found)),
    }


def _summary(found: Gathered) -> str:
    report = found.report
    outcomes = mapping_of(report.get("outcomes"))
    routes = len(list_of(report.get("routes")))
    told = [f"{report['traces']} traces on {routes} routes, {outcomes.get('failed', 0)} failed"]
    latency = mapping_of(report.get("latency_s"))
    if latency:
        median, largest = latency.get("median"), latency.get("largest")
        told.append(f"half took at most {median} s, the slowest {largest} s")
    for route, profile in found.profiles.items():
        told.append(
            f"{route}: {profile['good_traces']} good answers to {profile['distinct_inputs']} "
            "different inputs"
        )
    return "; ".join(told) + ". Analysed by rules, without a language model."


def _findings(report: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    for error in map(mapping_of, list_of(report.get("errors"))):
        traces = "1 trace" if error.get("traces") == 1 else f"{error.get('traces')} traces"
        what = f"{traces}: {error.get('text')} (in {error.get('place')})"
        yield _finding(what, error.get("trace_ids"))
    for tool in map(mapping_of, list_of(report.get("tools"))):
        if tool.get("failures"):
            what = f"the tool {tool['name']} failed in {tool['failures']} of {tool['calls']} calls"
            yield _finding(what, tool.get("failed_in"))
    for said in map(mapping_of, list_of(report.get("assessments"))):
        if list_of(said.get("failing")):
            what = f"assessed badly as {said['name']} by {said['source']}"
            yield _finding(what, said["failing"])
    for same in map(mapping_of, list_of(report.get("duplicates"))):
        if same.get("answers", 0) > 1:
            what = (
                f"the same request came {same['traces']} times and got {same['answers']} different "
                f"answers ({same['route']})"
            )
            yield _finding(what, same.get("trace_ids"))


def _finding(what: str, evidence: Json) -> dict[str, Json]:
    return {"what": what, "evidence": list_of(evidence)[:EVIDENCE]}


def _scorers(found: Gathered) -> Iterator[dict[str, Json]]:
    for name in CHECKS:
        learned = found.learned(name)
        if learned:
            yield {
                "name": name,
                "route": None,
                "what": WHAT[name],
                "why": f"{WHY[name]}. {support(learned)}",
                "evidence": evidence_of(learned),
                "catches": _caught(learned),
            }
    if not found.learned("no_error"):
        yield _without_good_answers(found)


def support(learned: Mapping[str, Mapping[str, Json]]) -> str:
    """How many good answers keep to what was learned, by route."""
    told = (f"{route}: {each['passes']} of {each['of']}" for route, each in learned.items())
    return f"Good answers that keep to it: {'; '.join(told)}."


def evidence_of(learned: Mapping[str, Mapping[str, Json]]) -> list[str]:
    """The traces that it was learned from, of every route some."""
    return list(dict.fromkeys(str(e) for each in learned.values() for e in each["evidence"]))


def _caught(learned: Mapping[str, Mapping[str, Json]]) -> list[str]:
    return list(dict.fromkeys(str(d) for each in learned.values() for d in each["catches"]))


def _without_good_answers(found: Gathered) -> dict[str, Json]:
    """The one scorer that needs no good answer to learn from."""
    return {
        "name": "no_error",
        "route": None,
        "what": WHAT["no_error"],
        "why": f"{WHY['no_error']}. There is no good answer to learn anything else from.",
        "evidence": [case["trace_id"] for case in cases_of(found.report)][:EVIDENCE],
        "catches": [],
    }


def _guidelines(found: Gathered) -> Iterator[dict[str, Json]]:
    evidence = evidence_of(found.learned("no_error"))[:EVIDENCE]
    bad = [
        str(each)
        for said in map(mapping_of, list_of(found.report.get("assessments")))
        for each in list_of(said.get("failing"))
    ]
    for name, text in GUIDELINES.items():
        yield {
            "name": name,
            "text": text,
            "evidence": list(dict.fromkeys([*bad, *evidence]))[:EVIDENCE],
        }


def _limits(found: Gathered) -> Iterator[str]:
    yield (
        "Made by rules. They cannot tell whether an answer is right, complete, helpful or well "
        "put; the guidelines for that are in scorers.py, judged only where EVALKIT_JUDGE_MODEL "
        "names a model."
    )
    yield (
        "Good answers are taken to be those that ended well and that no person assessed as bad; a "
        "wrong answer that nobody noticed counts as good, and bounds are learned from it too."
    )
    if found.learned("on_topic"):
        yield "on_topic looks for words: an answer that says the opposite in the same words passes."
    if found.learned("label_kept"):
        yield "label_kept compares with recorded labels: a case that two labels fit may fail it."
    few = [route for route, profile in found.profiles.items() if profile.get("too_few")]
    if few:
        yield f"Few different inputs on {_listed(few)}: what was learned there may be chance."
    for name in CHECKS:
        missing = found.unlearned(name)
        if missing:
            reasons = "; ".join(f"{route}: {why}" for route, why in missing.items())
            yield f"{name} is not judged everywhere ({reasons})."
    yield from _not_seen(found)


def _not_seen(found: Gathered) -> Iterator[str]:
    report = found.report
    routes = [str(mapping_of(each).get("route")) for each in list_of(report.get("routes"))]
    unseen = [route for route in routes if route not in found.profiles]
    if unseen:
        yield f"Nothing was learned about {_listed(unseen)}: no good answers, or too many routes."
    if report.get("unread"):
        yield f"The spans of some traces could not be read: {report['unread']}."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
