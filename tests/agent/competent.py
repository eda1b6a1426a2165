"""Claude as it should be, for the scripted Messages API: it looks, plans, writes, and mends.

What it says next follows from the messages of the request alone, as with any model; so it survives
whatever is killed on the other side, and knows of the traces only what tools showed it. Twists put
something else in its place at chosen points::

    with messages_server(Competent(at("scorers-1", 1, Fault(529), Reply("Done.")))) as server:
        ...  # the second answer of the first task: overloaded, then a claim, then as it should be
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from messages_server import Reply, Step

Body = dict[str, Any]

LOOK = """
import json
from room import rows_and_traces  # and not its frames: MLflow takes seconds to import
def words(v): return " ".join(map(words, v.values())) if isinstance(v, dict) else str(v)
good = [row for row in rows_and_traces()[0] if row["is_good"]]
one = sorted(good, key=lambda row: -len(words(row["outputs"])))[len(good) // 2]
print("MATERIAL", json.dumps({"trace": one["trace_id"], "answer": one["outputs"]}))
"""

HEAD = '''"""What good answers hold to; each scorer names a bad example that it fails."""

import json
import re

from mlflow.entities import Feedback
from mlflow.genai.scorers import scorer


def words(value):
    if isinstance(value, dict):
        return " ".join(words(each) for each in value.values())
    return " ".join(map(words, value)) if isinstance(value, list) else str(value or "")


def told(inputs, trace):
    return words(inputs) + " " + " ".join(
        f"{json.dumps(s.inputs, default=str)} {json.dumps(s.outputs, default=str)}"
        for s in trace.data.spans if s.parent_id and s.span_type in ("TOOL", "RETRIEVER"))


def said(ok, why):
    return Feedback(value=bool(ok), rationale=why)

'''

CODE = {
    "answered": """
@scorer
def answered(outputs):
    found = re.search(r"(?i)can(no|')t help|unable to|as an ai", words(outputs))
    return said(words(outputs).strip() and not found, "an answer, no refusal")
""",
    "figures_grounded": """
@scorer
def figures_grounded(inputs, outputs, trace):
    new = [n for n in re.findall(r"\\d{3,}", words(outputs)) if n not in told(inputs, trace)]
    return said(not new, f"figures from nowhere: {new}")
""",
    "no_placeholder": """
@scorer
def no_placeholder(outputs):
    return said(not re.search(r"\\{\\{|\\}\\}|TODO|\\[name\\]", words(outputs)), "filled in")
""",
}
"""Scorers that an expert might write."""

HARM = {
    "answered": lambda a: "I am sorry, I cannot help with that." + " " * (len(a) // 2),
    "figures_grounded": lambda a: f"{a[:-14]} for 90417 EUR.",
    "no_placeholder": lambda a: f"{a[:-9]} {{{{name}}}}",
}
"""How each is damaged: a good answer's longest text, given back with one fault."""


@dataclass(frozen=True)
class Asked:
    """A request, as far as it matters to a twist."""

    kind: str
    turn: int
    body: Body

    @property
    def opening(self):
        """What the session was told first."""
        return text_of(self.body["messages"][0])

    @property
    def results(self):
        """What the tools gave last, and all else that the last message says."""
        return text_of(self.body["messages"][-1])


Twist = Callable[[Asked], Step | None]
"""Gives what is answered instead; None where the competent answer is right."""


def at(kind, turn, *steps):
    """At one point of sessions of a kind: these steps, one a request, then as it should be."""
    left = list(steps)
    return lambda asked: left.pop(0) if (asked.kind, asked.turn) == (kind, turn) and left else None


def always(kind, step):
    """In sessions of a kind nothing but this."""
    return lambda asked: step if asked.kind == kind else None


def calls(*tools, **more):
    """An answer that asks for tools."""
    return Reply(tools=tools, **more)


def writes(path, content):
    """An answer that writes a file and has the task verified."""
    return calls(("save", {"path": path, "content": content}), ("verify", {}))


def text_of(message):
    """All words of a message, results of tools among them."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(str(block.get("text") or block.get("content", "")) for block in content)


class Competent:
    """A script of the Messages API; see the module."""

    def __init__(self, *twists, tasks=(("answered",),)):
        self.asked: list[Asked] = []
        self._twists = twists
        self._tasks = tasks

    def __call__(self, body, _):
        """The answer to a request."""
        asked = Asked(_kind(body), sum(m["role"] == "assistant" for m in body["messages"]), body)
        self.asked.append(asked)
        twisted = (twist(asked) for twist in self._twists)
        return next((step for step in twisted if step), None) or self._right(asked)

    def _right(self, asked):
        seen = "\n".join(text_of(each) for each in asked.body["messages"])
        found = re.findall(r"MATERIAL (\{.*\})", seen)
        if not found:
            return calls(("python", {"code": LOOK}), text="I look at what there is.")
        material = json.loads(found[-1])
        if asked.kind == "initializer":
            return calls(("save", {"path": "eval_tasks.json", "content": self._plan(material)}))
        given_up = _given_up(asked)
        limits = _limits(seen, given_up)
        code = self._file(asked, given_up, material)
        saves = [("save", {"path": "evaluation/scorers.py", "content": code})]
        saves += [("save", {"path": "evaluation/LIMITS.md", "content": limits})] if limits else []
        return calls(*saves, ("verify", {}))

    def _plan(self, material):
        tasks = [
            {"title": f"Write {', '.join(names)}", "scorers": {n: f"checks {n}" for n in names}}
            for names in self._tasks
        ]
        finding = {"what": "answers differ in form", "evidence": [material["trace"]]}
        return {"summary": "An agent that answers.", "findings": [finding], "tasks": tasks}

    def _file(self, asked, given_up, material):
        """The scorers that are there already and those of the task, but for what is given up."""
        names = [n for n in CODE if f"\ndef {n}(" in asked.opening]
        names += [n for n in CODE if re.search(rf"^- {n}: ", asked.opening, re.MULTILINE)]
        names = [n for n in dict.fromkeys(names) if n not in given_up]
        examples = {n: [material["trace"], _harmed(n, material["answer"])] for n in names}
        code = "".join(f"\n{CODE[n]}" for n in names)
        end = f"\n\nSCORERS = [{', '.join(names)}]\nBAD_EXAMPLES = {examples!r}\n"
        return HEAD + code + end


def _given_up(asked):
    """Scorers that LIMITS.md gives up, here or before, and those of its own just refused."""
    wrote = json.dumps(asked.body["messages"])
    found = set(re.findall(r"## (\w+)(?:\n|\\n)Given up", wrote))
    if "What good answers hold to" in json.dumps(asked.body["messages"][-2:-1]):
        name = (
            r"^- (?:BAD_EXAMPLES\['(\w+)'\]|(\w+)) (?:is unlike|refuses|does not fail|on tr-|never)"
        )
        found |= {a or b for a, b in re.findall(name, asked.results, re.MULTILINE)}
    return found


def _limits(seen, given_up):
    """LIMITS.md: what is given up, what was there already, and what people rejected."""
    parts = [f"## {name}\nGiven up: good answers fail it.\n" for name in sorted(given_up)]
    parts += re.findall(r"(?ms)^## tr-.*?(?=^##|^~~~|\Z)", seen)
    missed = re.findall(r"people rejected (tr-\w+) \((.*?)\) and every scorer", seen)
    parts += [
        f"## {trace_id}\nPeople said: {why}\nGuideline for a judge: {why}\n"
        for trace_id, why in dict.fromkeys(missed)
    ]
    return "\n".join(dict.fromkeys(parts))


def _harmed(name, answer):
    """A good answer with the fault that a scorer is for."""
    return HARM[name](str(answer))


def _kind(body):
    opening = text_of(body["messages"][0])
    if "plan the suite" in opening:
        return "initializer"
    found = re.search(r"Your task \((\S+)\)", opening)
    return found[1] if found else "interactive"
