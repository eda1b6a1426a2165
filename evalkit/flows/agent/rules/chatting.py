"""A conversation by rules: a few words that they know, and the tools behind them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from evalkit.core.values import Json
from evalkit.flows.agent.rules.hearing import Heard, Use
from evalkit.flows.agent.rules.moves import Move, use

HELP = """\
I am a set of rules, not a language model: I know these words and no others.

  experiments             the experiments that there are
  use EXPERIMENT          turn to one of them
  analyze                 what can be counted over all traces
  profile ROUTE           what the good answers of a route have in common
  query [FILTER]          traces, such as: query status = 'ERROR'
  trace TRACE_ID          one trace
  assessments             what people and judges said
  runs                    the experiment's runs
  playbook [TOPIC]        how datasets, scorers and scripts are written
  files                   the files of this session
  read PATH               one of them
  help                    this text

For a suite, start the agent without -i. For questions in your own words, give it a key and a model.
"""

MOST_LINES = 200

_Arguments = Callable[[str], tuple[str, Mapping[str, Json]]]

WORDS: Mapping[str, _Arguments] = {
    "experiments": lambda _: ("list_experiments", {}),
    "use": lambda name: ("choose_experiment", {"experiment": name}),
    "analyze": lambda _: ("analyze_experiment", {}),
    "profile": lambda route: ("profile_outputs", {"route": route}),
    "query": lambda wanted: (
        "mlflow_query",
        {"what": "traces", "limit": 10} | ({"filter": wanted} if wanted else {}),
    ),
    "trace": lambda trace_id: (
        "mlflow_query",
        {"what": "trace", "trace_id": trace_id, "detail": "analysis"},
    ),
    "assessments": lambda _: ("mlflow_query", {"what": "assessments"}),
    "runs": lambda _: ("mlflow_query", {"what": "runs"}),
    "playbook": lambda topic: ("playbook", {"topic": topic} if topic else {}),
    "files": lambda _: ("list_files", {}),
    "read": lambda path: ("read_file", {"path": path}),
}
"""What each word does with what stands behind it."""

_SAME = {"analyse": "analyze", "list": "files", "traces": "query"}
_NEED_MORE = {
    "use": "an experiment",
    "profile": "a route",
    "trace": "a trace's id",
    "read": "a file's path",
}


def chat(known: Heard) -> Move:
    """Answer what was said last, or show what a tool gave."""
    if not known.said:
        return Move(_shown(known.uses[-1]) if known.uses else HELP)
    first, _, rest = known.said.strip().partition(" ")
    word = _SAME.get(first.casefold(), first.casefold())
    if word not in WORDS:
        return Move(HELP)
    if word in _NEED_MORE and not rest.strip():
        return Move(f"Say {_NEED_MORE[word]} too: {word} …")
    return use("", WORDS[word](rest.strip()))


def _shown(given: Use) -> str:
    """What a tool gave, laid out where it is JSON."""
    if given.failed:
        return f"That did not work: {given.text}"
    found = given.json
    text = json.dumps(found, indent=1, ensure_ascii=False) if found else given.text
    lines = text.splitlines()
    more = f"\n… {len(lines) - MOST_LINES} lines more" if len(lines) > MOST_LINES else ""
    return "\n".join(lines[:MOST_LINES]) + more
