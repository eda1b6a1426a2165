"""What a config file is before it is read: another tool's, or a profile over another one."""

from __future__ import annotations

from typing import Any

import yaml

from evalkit.core.document import Document, from_node
from evalkit.errors import InputError

OWN_KEYS = frozenset({"dataset", "judges", "extends"})
"""A config with one of these is an evaluation's of the harness, whatever else it holds."""

OTHER_KEYS = (
    "tasks",
    "checks",
    "graders",
    "tests",
    "prompts",
    "providers",
    "scenarios",
    "defaultTest",
    "evals",
    "evalcases",
    "cases",
    "scorers",
    "metrics",
    "evaluators",
    "testData",
    "task",
    "doc_to_text",
    "metric_list",
    "solver",
    "taskSets",
)
"""Keys under which other tools describe what is asked and how it is judged."""

OTHER_TOOLS = (
    ("promptfoo", {"prompts", "providers"}),
    ("promptfoo", {"providers", "tests"}),
    ("promptfoo", {"prompts", "tests"}),
    ("lm-evaluation-harness", {"task", "doc_to_text"}),
    ("GitHub Models", {"testData", "evaluators"}),
    ("skill-creator", {"skill_name", "evals"}),
    ("gevals", {"kind", "metadata", "config"}),
)
"""Tools that are known by their keys."""

# fmt: off
READ_KEYS = frozenset((
    "name", "description", "version", "skill", "execution", "runner", "models", "mlflow", "dataset",
    "outputs", "judges", "thresholds", "extends", "permissions", "hooks", "inputs", "traces",
    "generation", "providers",
))
"""Keys that evalkit reads, or that only say how the agent is run."""

READ_JUDGE_KEYS = frozenset((
    "name", "description", "builtin", "check", "prompt", "prompt_file", "llm_rubric", "module",
    "function", "agent", "arguments", "context", "condition", "if", "feedback_type", "score_range",
    "model",
))
# fmt: on

KEYED_LISTS = {"judges": "name", "steps": "id"}
"""Lists that a profile merges entry by entry, and what identifies an entry."""

REPLACE = "!replace"


def other_tool(root: object) -> str:
    """Whose config this seems to be, in words; empty where it may be one of the harness."""
    if not isinstance(root, dict) or OWN_KEYS & root.keys():
        return ""
    named = next((tool for tool, keys in OTHER_TOOLS if keys <= root.keys()), "")
    entries = [entry for value in root.values() if isinstance(value, list) for entry in value]
    inner = {key for entry in (root, *entries) if isinstance(entry, dict) for key in entry}
    marks = [key for key in OTHER_KEYS if key in inner]
    if not named and not any(key in root for key in OTHER_KEYS):
        return ""
    seen = ", ".join(f"`{key}:`" for key in marks or sorted(map(str, root)))
    return f"{named or 'another tool'} ({seen})"


def unread_keys(root: object) -> tuple[str, ...]:
    """The keys that may bear on what a score means and that evalkit does not understand."""
    if not isinstance(root, dict):
        return ()
    judges = root["judges"] if isinstance(root.get("judges"), list) else []
    of_judges = (
        f"{key} of the judge {judge.get('name')}"
        for judge in judges
        if isinstance(judge, dict)
        for key in sorted(judge.keys() - READ_JUDGE_KEYS)
    )
    return (*sorted(root.keys() - READ_KEYS), *of_judges)


def layered(base: Document, profile: Document) -> Document:
    """A profile laid over the config that it extends, as agent-eval-harness merges them.

    Mappings merge key by key, scalars are replaced, lists are extended by what they lack;
    ``judges`` merge by name and ``steps`` by id; a list tagged ``!replace`` stands alone.

    Raises:
        InputError: one of them is no mapping of keys.
    """
    for each in (base, profile):
        if not isinstance(each.node, yaml.MappingNode):
            fix = "write keys, such as `name:` and `dataset:`"
            raise InputError(each.problem("", "the file is not a mapping of keys", fix))
    return from_node(_merged(base.node, profile.node, ""), profile.file)


def _merged(base: Any, over: Any, name: str) -> Any:
    marks = (over.start_mark, over.end_mark)
    if isinstance(base, yaml.MappingNode) and isinstance(over, yaml.MappingNode):
        pairs = {key.value: (key, value) for key, value in base.value}
        for key, value in over.value:
            below = pairs.get(key.value)
            pairs[key.value] = (key, _merged(below[1], value, key.value) if below else value)
        return yaml.MappingNode(over.tag, list(pairs.values()), *marks)
    both = isinstance(base, yaml.SequenceNode) and isinstance(over, yaml.SequenceNode)
    if not both or over.tag == REPLACE:
        return over
    items = {_identity(item, KEYED_LISTS.get(name)): item for item in base.value}
    for item in over.value:
        identity = _identity(item, KEYED_LISTS.get(name))
        items[identity] = _merged(items[identity], item, "") if identity in items else item
    return yaml.SequenceNode(base.tag, list(items.values()), *marks)


def _identity(item: yaml.Node, key: str | None) -> str:
    """What makes two entries of a list the same: their key where they have one, else all they say.

    Entries that are the same in all they say merge into one that says it too.
    """
    if key and isinstance(item, yaml.MappingNode):
        named = [value.value for name, value in item.value if name.value == key]
        if named:
            return f"{key} {named[0]}"
    return repr(from_node(item, "").value)
