"""How evaluation suites are written for the MLflow in use, topic by topic, read on demand."""

from __future__ import annotations

from importlib.resources import files

from evalkit.core.agent.code import script_code
from evalkit.core.errors import InputError, Problem

_ORDER = ("datasets", "scorers", "judges", "script", "damages", "pitfalls", "confinement")


def topics() -> list[str]:
    """The topics that there are."""
    return list(_ORDER)


def playbook(topic: str | None = None) -> str:
    """What the playbook says about a topic; without one, the topics and what each is about.

    Raises:
        InputError: there is no such topic.
    """
    if topic is None:
        lines = (f"- {name}: {_text(name).partition(chr(10))[0].lstrip('# ')}" for name in _ORDER)
        return "Topics of the playbook:\n" + "\n".join(lines)
    if topic not in _ORDER:
        fix = f"ask for one of {', '.join(_ORDER)}"
        raise InputError(Problem(f"the playbook has no topic {topic!r}", field="topic", fix=fix))
    return _text(topic)


def _text(topic: str) -> str:
    text = files(__package__).joinpath(f"{topic}.md").read_text("utf-8")
    return text.replace("    <<run_eval>>", _fenced(script_code("NAME-evalkit", "URI")))


def _fenced(code: str) -> str:
    return f"```python\n{code}```"
