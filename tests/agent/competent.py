"""Claude as it should be, for the scripted Messages API: it looks, plans, writes, and mends.

What it says next follows from the messages of the request alone, as with any model; so it survives
whatever is killed on the other side, and knows of the traces only what tools showed it. Twists put
something else in its place at chosen points::

    with messages_server(Competent(at("scorers-1", 1, Fault(529), Reply("Done.")))) as server:
        ...  # the second answer of the first task: overloaded, then a claim, then as it should be
"""

import json
import re
from dataclasses import dataclass

from messages_server import Reply

LOOK = """
import json
from room import rows_and_traces  # and not its frames: MLflow takes seconds to import
good = sorted((row for row in rows_and_traces()[0] if row["is_good"]), key=lambda r: r["outputs"])
one = good[len(good) // 2]
print("MATERIAL", json.dumps({"trace": one["trace_id"], "answer": one["outputs"]}))
"""

HEAD = '''"""What good answers hold to; each scorer names a bad example that it fails."""

import re

from mlflow.entities import Feedback
from mlflow.genai.scorers import scorer


def told(inputs, trace):
    return str(inputs) + " ".join(f"{s.inputs} {s.outputs}" for s in trace.data.spans[1:3])


def said(ok, why):
    return Feedback(value=bool(ok), rationale=why)
'''

CODE = {
    "answered": """outputs):
    return said("cannot help" not in str(outputs), "an answer, no refusal")
""",
    "figures_grounded": r"""inputs, outputs, trace):
    new = [n for n in re.findall(r"\d{3,}", str(outputs)) if n not in told(inputs, trace)]
    return said(not new, f"figures from nowhere: {new}")
""",
    "no_placeholder": """outputs):
    return said("{{" not in str(outputs), "filled in")
""",
}
"""Scorers that an expert might write, from their arguments on."""

HARM = {
    "answered": lambda answer: "I am sorry, I cannot help with that." + " " * (len(answer) // 2),
    "figures_grounded": lambda answer: f"{answer[:-14]} for 90417 EUR.",
    "no_placeholder": lambda answer: f"{answer[:-9]} {{{{name}}}}",
}
"""A good answer with the fault that each is for."""


@dataclass(frozen=True)
class Asked:
    """A request, as far as it matters to a twist."""

    kind: str
    turn: int
    body: dict

    @property
    def opening(self):
        """What the session was told first."""
        return text_of(self.body["messages"][0])

    @property
    def results(self):
        """What the tools gave last, and all else that the last message says."""
        return text_of(self.body["messages"][-1])


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
        self.asked = []
        self._twists = twists
        self._tasks = tasks

    def __call__(self, body, _):
        """The answer to a request."""
        opening = text_of(body["messages"][0])
        task = re.search(r"Your task \((\S+)\)", opening)
        kind = "initializer" if "plan the suite" in opening else task[1] if task else "interactive"
        asked = Asked(kind, sum(m["role"] == "assistant" for m in body["messages"]), body)
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
        limits = _limits(seen)
        code = _file(asked.opening, material)
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


def _file(opening, material):
    """The scorers that are there already and those of the task."""
    names = [n for n in CODE if re.search(rf"(?m)^(def {n}\(|- {n}: )", opening)]
    code = "".join(f"\n\n@scorer\ndef {n}({CODE[n]}" for n in names)
    examples = {n: [material["trace"], HARM[n](material["answer"])] for n in names}
    return f"{HEAD}{code}\n\nSCORERS = [{', '.join(names)}]\nBAD_EXAMPLES = {examples!r}\n"


def _limits(seen):
    """LIMITS.md: what was there already, and what people rejected."""
    parts = re.findall(r"(?ms)^## tr-.*?(?=^##|^~~~|\Z)", seen)
    missed = re.findall(r"people rejected (tr-\w+) \((.*?)\) and every scorer", seen)
    parts += [
        f"## {trace_id}\nPeople said: {why}\nGuideline for a judge: {why}\n"
        for trace_id, why in dict.fromkeys(missed)
    ]
    return "\n".join(dict.fromkeys(parts))
