"""What can be measured on an answer without a model.

The same functions learn from recorded answers and judge new ones: a suite's ``scorers.py`` holds
copies of those that its scorers use, see :mod:`evalkit.core.agent.code.borrowing`. So nothing here
uses more than the standard library, and each top-level name stands on its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

ERROR_TEXT = re.compile(
    r"[\s\[{(\"'*#]*(?:fatal |internal |unexpected |unhandled )*"
    r"(?:traceback \(most recent call last\)"
    r"|(?:[a-z_.]*(?:error|exception))\b\s*[:\]\"'(]"
    r"|error(?:\s+(?:code|while|in|calling|occurred|processing|\d)|\s*$)"
    r"|(?:an?|the|some) (?:\w+ ){0,3}(?:error|exception)s? (?:has |have )?(?:occurred|happened)"
    r"|(?:sorry|apologies|oops)?\W*something went wrong"
    r"|(?:http[ /]?)?[45]\d\d\b\W*(?:internal|bad|service|gateway|too many|unauthori[sz]ed"
    r"|forbidden|not found|error)"
    r"|(?:internal server error|service unavailable|bad gateway|gateway time-?out)"
    r"|rate limit (?:was )?(?:exceeded|reached)|(?:the )?(?:request|connection|call) timed out)",
    re.IGNORECASE,
)
"""How an answer begins that is an error's text and no answer."""

TOKEN = re.compile(
    r"https?://[^\s<>()\[\]{}\"'`|]+"
    r"|(?:[^\s<>()\[\]{}\"'`|;*=:]|(?<=\d):(?=\d))+"
)
"""What stands between blanks, brackets and quotes; a colon belongs to it between digits only."""

NUMBERING = re.compile(r"(?m)^[ \t#>*-]*\d{1,3}[.)][ \t]")
"""The numbers of a list's items, which say nothing."""

FIGURE_CHARS = 80

LOOKS = {
    "<link>": re.compile(r"https?://\S{4}"),
    "<citation>": re.compile(r"\[\^?\d{1,3}\]"),
    "<code>": re.compile(r"```"),
    "<table>": re.compile(r"(?m)^[ \t]*\|.+\|[ \t]*$"),
    "<list>": re.compile(r"(?m)^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+\S"),
    "<heading>": re.compile(r"(?m)^#{1,6}[ \t]+\S"),
}
"""Parts of an answer that are known by their look."""

AT_ONCE = "at once"
"""Tools have to work whenever they are used."""

IN_THE_END = "in the end"
"""Tools have to work when they are used for the last time: a second try may mend a failure."""

NAME_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+[^\s:]+(?:[ \t]+[^\s:]+){0,2}")
"""A list's item that is a name, of three words at most, and needs no full stop."""

WORD = re.compile(r"[^\W\d_][\w'\u2019-]{3,}")


def is_empty(value: Any) -> bool:
    """Whether there is nothing in it: no text but blanks, no item, no field with anything."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, dict):
        return all(is_empty(each) for each in value.values())
    if isinstance(value, (list, tuple)):
        return all(is_empty(each) for each in value)
    return value is None


def texts_in(value: Any) -> Iterator[str]:
    """All texts in a value, and its numbers as text, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from texts_in(each)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


def answer_text(outputs: Any, place: Sequence[str | int] = ()) -> str:
    """The words of an answer: the text at a place in it, else all texts in it.

    Args:
        outputs: What the agent returned.
        place: Field names and list positions that lead to the words.
    """
    return "\n".join(texts_in(lying_at(outputs, place) or outputs))


def lying_at(value: Any, place: Sequence[str | int]) -> list[Any]:
    """What lies at a place in a value, as a list of one; empty where there is no such place.

    Args:
        value: The value.
        place: Field names and list positions that lead into it; -1 is a list's last item.
    """
    for step in place:
        if isinstance(step, str):
            is_there = isinstance(value, dict) and step in value
        else:
            is_there = isinstance(value, (list, tuple)) and -len(value) <= step < len(value)
        if not is_there:
            return []
        value = value[step]
    return [value]


def error_in(text: str) -> str:
    """The begin of an error's text where an answer is one; empty where it is none."""
    begin = text[:400]
    found = ERROR_TEXT.match(begin)
    return " ".join(begin[: found.end() + 60].split()) if found else ""


def misfits(value: Any, schema: dict[str, Any], at: str = "the answer") -> list[str]:
    """Where a value leaves a schema; empty where it fits.

    Args:
        value: The value.
        schema: JSON schema of the kind ``{"type", "properties", "required", "items",
            "contentSchema"}``, the last one for texts that hold JSON.
        at: What the value is called.
    """
    kinds = schema.get("type", [])
    kind = kind_of(value)
    if kinds and kind not in ([kinds] if isinstance(kinds, str) else kinds):
        return [f"{at} is {kind}, not {kinds if isinstance(kinds, str) else ' or '.join(kinds)}"]
    if kind == "object":
        absent = [name for name in schema.get("required", ()) if name not in value]
        parts = schema.get("properties", {})
        inner = [misfits(value[n], parts[n], f"{at}[{n!r}]") for n in parts if n in value]
        return [f"{at} has no {name!r}" for name in absent] + [e for some in inner for e in some]
    if kind == "array" and "items" in schema:
        return [each for item in value for each in misfits(item, schema["items"], f"{at}[…]")][:3]
    if kind == "string" and "contentSchema" in schema:
        parsed = parsed_json(value)
        if parsed is None:
            return [f"{at} does not hold JSON"]
        return misfits(parsed, schema["contentSchema"], f"the JSON in {at}")
    return []


def kind_of(value: Any) -> str:
    """The kind of a value, in the words of JSON schema."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"


def parsed_json(text: str) -> Any:
    """The object or list that a text holds, in a code fence or not; None where it holds none."""
    bare = re.sub(r"^\s*```\w*\n(.*?)```\s*$", r"\1", text, flags=re.DOTALL)
    if bare.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return json.loads(bare)
    except (ValueError, RecursionError):
        return None


def figures_in(text: str) -> list[str]:
    """What an answer cannot know by itself, each once: numbers, dates, ids, addresses.

    Single digits are left out, because they are found everywhere, and so is what is too long to be
    any of these.
    """
    tokens = dict.fromkeys(TOKEN.findall(NUMBERING.sub(" ", text)))
    bare = dict.fromkeys(token.strip("./,:!?_-~#&…") for token in tokens)
    return [token for token in bare if 1 < len(token) <= FIGURE_CHARS and is_figure(token)]


def is_figure(token: str) -> bool:
    """Whether a token has a digit in it or is an address."""
    return "://" in token or "@" in token or any(char.isdigit() for char in token)


def ungrounded(answer: str, sources: Iterable[Any]) -> list[str]:
    """The figures of an answer that occur in none of the sources.

    Args:
        answer: The words of an answer.
        sources: What the agent was given, and what its tools gave it.
    """
    given = " ".join(text for source in sources for text in texts_in(source)).casefold()
    plain = given.replace(",", "")
    return [
        each
        for each in figures_in(answer)
        if each.casefold() not in given and each.casefold().replace(",", "") not in plain
    ]


def words_in(text: str) -> set[str]:
    """The words of four letters or more in a text, in lower case."""
    return {word.casefold() for word in WORD.findall(text)}


def mentions(text: str, term: str) -> bool:
    """Whether a term begins a word of the text, in whatever case; a number has to be all of it."""
    words, wanted = text.casefold(), term.casefold()
    at = words.find(wanted)
    while at >= 0:
        after = words[at + len(wanted) : at + len(wanted) + 1]
        is_whole = not (wanted[-1:].isdigit() and after.isalnum())
        if is_whole and not (at and words[at - 1].isalnum()):
            return True
        at = words.find(wanted, at + 1)
    return False


def off_topic(answer: str, terms: Sequence[str]) -> list[str]:
    """The terms that an answer misses; empty where it mentions at least a third of them."""
    missing = [term for term in terms if not mentions(answer, term)]
    return missing if len(terms) - len(missing) < -(-len(terms) // 3) else []


def missing_parts(answer: str, parts: Iterable[str]) -> list[str]:
    """The parts that an answer lacks, each a text or a key of ``LOOKS``."""
    return [part for part in parts if not holds(answer, part)]


def holds(answer: str, part: str) -> bool:
    """Whether an answer has a part, whatever its case and the blanks in it."""
    if part in LOOKS:
        return LOOKS[part].search(answer) is not None
    return " ".join(part.casefold().split()) in " ".join(answer.casefold().split())


def mislabelled(answer: str, labels: Sequence[str], expected: str | None) -> str:
    """What is wrong with an answer that has to be a label; empty where nothing is.

    Args:
        answer: The words of the answer.
        labels: The labels that there are.
        expected: The label that it has to be; None where any will do.
    """
    label = answer.strip()
    if expected and label != expected:
        return f"it is {label[:60]!r} instead of {expected!r}"
    return "" if expected or label in labels else f"{label[:60]!r} is none of the known labels"


def failed_tools(uses: Sequence[tuple[str, bool]], when: str) -> list[str]:
    """The tools that did not work when they had to.

    Args:
        uses: The tools in the order of their use, and whether each failed.
        when: ``AT_ONCE`` or ``IN_THE_END``.
    """
    last = dict(uses)
    return sorted({name for name, failed in uses if failed and (last[name] or when == AT_ONCE)})


def cut_off(answer: str) -> str:
    """The end of an answer that breaks off; empty where it ends as sentences, code or lists do."""
    text = answer.rstrip()
    closed = text.count("```") % 2 == 0 and text.count("**") % 2 == 0
    is_name = NAME_ITEM.fullmatch(text.rpartition("\n")[2]) is not None
    ended = text and text[-1] not in ",-_([" and (is_name or not text[-1].isalnum())
    return "" if ended and closed else f"…{text[-40:]}"
