"""What rules can tell of an answer, and each check as a scorer; copied beside the suites of rules.

A check yields what is wrong as a part of its demand and the thing itself; how bounds are learned is
elsewhere. Nothing is used but the standard library and MLflow.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from zlib import crc32

from evalkit.suite import answer_reading as reading
from evalkit.suite import word_lists as lists
from evalkit.suite.figures import (
    DATE,
    MONTHS,
    SIGNS,
    figure_kind,
    figures_of,
    is_derived,
    is_digit_off,
    said_again,
)

Problems = Iterator[tuple[str, str]]

RECORDED = "what was answered before"

SAME, NEARER = 0.8, 0.1
"""How alike two answers are that say the same, and by how much one has to be more like another."""

RUN = 8  # so many words in a row are a quotation; a fact that instructions hold is said in fewer

Check = Callable[[reading.Exchange, dict[str, Any]], Problems]


def problems(
    check: Check, exchange: reading.Exchange, bound: dict[str, Any]
) -> list[tuple[str, str]]:
    """What an answer breaks of a bound, but for the parts that good answers do not hold to."""
    off = {*bound.get("off", ())}
    return [
        each for each in check(exchange, bound) if off.isdisjoint({each[0], family_of(each[0])})
    ]


def family_of(part: str) -> str:
    """The kind of a part, which stands before the field that it is about."""
    return part.partition(" of ")[0]


def rule(check: Check, routes: dict[str, list[str]], bounds: dict[str, Any]) -> Any:
    """A check as a scorer; it gives no value where it has no bound for a trace's route."""
    from mlflow.entities import Feedback
    from mlflow.genai.scorers import scorer

    def judge(inputs: Any, outputs: Any, trace: Any) -> Feedback:
        roots = [each.name for each in trace.data.spans if each.parent_id is None] if trace else []
        given = sorted(inputs) if isinstance(inputs, dict) else []
        fitting = [route for route, names in routes.items() if names == given or len(routes) == 1]
        route = roots[0] if {*roots[:1]} & routes.keys() else "".join(fitting[:1])
        if route not in bounds:
            return Feedback(value=None, rationale="nothing is demanded of this route")
        try:
            exchange = reading.Exchange(inputs, outputs, trace)
            needing = {"all", "some"} if not trace or len(trace.data.spans) < 2 else {"all"}  # noqa: PLR2004
            if not exchange.sources and bounds[route].get("sources") in needing:
                return Feedback(value=None, rationale="the trace shows nothing to hold it against")
            found = problems(check, exchange, bounds[route])
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            return Feedback(value=None, rationale=f"cannot be judged: {error!r}")
        reasons = [": ".join(filter(None, each)) for each in found[:4]]
        return Feedback(value=not found, rationale="; ".join(reasons) or "it holds")

    judge.__name__, judge.__doc__ = check.__name__, check.__doc__
    return scorer(judge)


def answered(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """The answer is there, and is neither an error's text nor a refusal nor talk about itself."""
    if not any(str(each).strip() for _, each in exchange.leaves if each not in (None, {}, [])):
        yield "nothing", "there is no answer"
    for part, pattern in lists.REFUSALS.items():
        if found := pattern.search(exchange.whole):
            yield part, found[0]


def shape_kept(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """The answer has the fields of good answers, of their kinds."""
    for at, value in exchange.nodes:
        kinds, kind = bound["kinds"].get(at, {}), reading.value_kind(value)
        if at not in bound["kinds"]:
            yield "a new field", at or "the answer"
        elif kinds and kind not in kinds:
            part = f"the kind of {at or 'the answer'}" if value else "an empty field"
            yield part, str(value)[:60]
        elif kind == "text" and str(value) not in bound["values"].get(at, {str(value)}):
            yield f"a new value of {at}", str(value)[:60]
        elif kind == "number" and at in bound["ranges"]:
            least, most = bound["ranges"][at]
            if not least <= value <= most:
                yield f"the range of {at}", str(value)
    for at in sorted({*bound["always"]} - {at for at, _ in exchange.nodes}):
        yield f"a lack of {at or 'the answer'}", ""


def looks_kept(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """The answer has no look that good answers never have."""
    for look in bound["never"]:
        if found := look_of(exchange, look):
            yield look, found[0][:60]


def look_of(exchange: reading.Exchange, look: str) -> re.Match[str] | None:
    """Where an answer has a look, in one of its texts or in all together."""
    texts = [exchange.whole, *(text for _, text in exchange.prose)]
    return next(filter(None, map(lists.LOOKS[look].search, texts)), None)


def complete(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """The answer is about as long as good ones, and ends as they do."""
    if exchange.text and not bound["shortest"] <= len(exchange.text) <= bound["longest"]:
        yield "length", f"{len(exchange.text)} characters"
    for at, each in exchange.prose:
        if open_end(each) > bound["ends"].get(at, math.inf):
            yield "the end", each.rstrip()[-30:]
        if is_cut(each, exchange):
            yield "a cut word", each.rstrip()[-30:]


def is_cut(text: str, exchange: reading.Exchange) -> bool:
    """Whether the last word is only the beginning of one that stands elsewhere."""
    last = re.search(r"[^\W\d_]+\Z", text[-40:])
    if last is None:
        return False
    word, before = last[0].casefold(), reading.words_of(text[: -len(last[0])])
    longer = {e for e in exchange.known_words.union(before) if e.startswith(word)}
    form = 3 if len(word) > 2 else 1  # noqa: PLR2004 - what is less may be its plural
    return bool(longer) and all(len(each) - len(word) >= form for each in longer)


def open_end(text: str) -> int:
    """How many words the last line of a text has if it ends without a stop."""
    last = text.rstrip().rpartition("\n")[2]
    return len(last.split()) if last[-1:].isalnum() else 0


def figures_grounded(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """Every number, date and id, with its unit, stands in what was given."""
    for at, text in [("", exchange.text), *field_texts(exchange)]:
        if at in bound["places"]:
            found = new_figures(text, exchange, bound, is_text=not at)
            yield from ((at or part, what) for part, what in found)


def new_figures(
    text: str, exchange: reading.Exchange, bound: dict[str, Any], *, is_text: bool
) -> Problems:
    """The figures of a text that were not given, nor come of two that were.

    What people read may also draw on the answer's fields.
    """
    given = exchange.given_figures
    if own := exchange.own_figures(bound["own"]) if is_text else {}:
        given = {w: given.get(w, set()) | own.get(w, set()) for w in (*given, *own)}
    known = {unit for units in given.values() for unit in units} | {*bound["units"]}
    most = bound["sums"]
    yield from (("date", d) for d in DATE.findall(text) if not exchange.is_given_date(d))
    for what, unit, written in figures_of(DATE.sub(" ", text)):
        if unit in SIGNS and unit not in known:
            yield "unit", written
        like = [each for each, units in given.items() if unit in units and unit is not None]
        if what not in given and not exchange.is_given(what):
            if is_derived(what, given, most, unit):
                continue
            yield figure_kind(what, unit), written
            if any(is_digit_off(what, each) for each in given):
                yield "a digit off", written
        elif unit is not None and unit not in given.get(what, {unit}):
            is_bare = None in given[what] and sum(map(str.isdigit, written)) > 1
            if given[what] - {None} and (bound["strict"] or unit not in known):
                yield "unit", written
            elif like and not (is_bare or is_derived(what, like, most)):
                yield "a number's unit", written


def field_texts(exchange: reading.Exchange) -> list[tuple[str, str]]:
    """What stands in fields beside the text that people read, by place."""
    leaves = [(at, str(value)) for at, value in exchange.leaves if not reading.is_prose(value)]
    return [(at, text) for at, text in leaves if at]


def words_grounded(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """Names, and what statements are about, stand in what was given; German nouns are no names."""
    name, usual = r"([A-Z\u00c0-\u00dc][a-z\u00df-\u00ff][\w'\u2019]+)", {*bound["usual"].split()}
    tongues = {reading.main_language(exchange.text), *bound["languages"]}
    twice = f" {name}" if "de" in tongues else ""
    known = (
        reading.stems(exchange.given)
        | {*lists.STOPWORDS["de"].split(), *(month[:5] for month in MONTHS)}
        | usual
    )
    for found in re.finditer(rf"(?<=[^\W\d_A-Z,;:] ){name}{twice}", exchange.text):
        words = [re.sub(r"['\u2019]s?$", "", each.casefold()) for each in found.groups()]
        if not any(word in exchange.given or word[:5] in known for word in words):
            yield "name", found[0]
    for foreign, text in foreign_statements(exchange, usual):
        if foreign > bound["most"]:
            yield "a statement", text[:80]


def foreign_statements(exchange: reading.Exchange, usual: set[str]) -> Iterator[tuple[int, str]]:
    """Statements, and by how many of its words each is rather from elsewhere than from here."""
    given = reading.stems(exchange.given)
    for _, text in exchange.prose:
        for each in reading.statements(text):
            own = reading.stems(each) - usual
            yield len(own - given) - 2 * len(own & given), each


def prompt_kept(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """The answer does not quote its instructions."""
    told, said = (reading.words_of(each) for each in (exchange.prompts, exchange.whole))
    runs = {" ".join(told[at : at + RUN]) for at in range(len(told) - RUN + 1)}
    other = " ".join(reading.words_of(f"{exchange.request} {exchange.sources}"))
    for at in range(len(said) - RUN + 1):
        run = " ".join(said[at : at + RUN])
        if run in runs and run not in other:
            yield "quotes it", run


def language_kept(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """The answer is in the language of the request, else in one that good answers have."""
    asked, words = reading.main_language(exchange.request), reading.words_of(exchange.request)
    for said in {reading.main_language(each) for _, each in exchange.prose} - {"", asked}:
        if asked and said == reading.main_language(exchange.text):
            yield "as asked", f"{said} instead of {asked}"
        small = {*lists.STOPWORDS.get(said, "").split()}
        if said not in bound["languages"] and small.isdisjoint(words):
            yield "as usual", said


def not_repeated(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """Nothing comes twice in a text, and the request is not given back."""
    asked = " ".join(reading.words_of(exchange.request))
    for _, text in exchange.prose:
        said = [" ".join(reading.words_of(each)) for each in reading.statements(text)]
        twice = [each for each, n in Counter(said).items() if n > 1 and each.count(" ") > 1]
        yield from (("twice", each[:80]) for each in twice)
        yield from (("twice in a row", each[:80]) for each in said_again(text))
        part = " ".join(said)
        if (part.count(" ") > 4 and part in asked) or (asked.count(" ") > 4 and asked in part):  # noqa: PLR2004
            yield "the request", part[:80]


def nothing_foreign(exchange: reading.Exchange, _bound: dict[str, Any]) -> Problems:
    """Addresses, secrets, links, placeholders and promises are only those that were given."""
    text = DATE.sub(" ", exchange.said)
    promising = "\n".join(filter(lists.GIVING.search, reading.statements(text)))
    new = {kind: each for kind, each in lists.PROMISES.items() if not each.search(exchange.given)}
    for where, patterns in ((text, lists.FOREIGN), (promising, new)):
        for part, pattern in patterns.items():
            for found in pattern.finditer(where):
                if found[0].rstrip(".,;:!?").casefold() not in exchange.given:
                    yield part, found[0]


def request_taken_up(exchange: reading.Exchange, bound: dict[str, Any]) -> Problems:
    """The answer takes up what only its own request or sources speak of, as good answers do."""
    said = reading.content_of(exchange.said)
    for kind, things in own_things(exchange, bound["common"]).items():
        if len(things & said) < min(bound["demanded"].get(kind, 0), len(things)):
            yield kind, f"only {len(things & said)} of {len(things)} are taken up"
    mine, asked = reading.sketch(exchange.said), crc32(exchange.request.encode())
    alike = [
        (key == asked, len(mine & {*held}) / max(1, len(mine | {*held})))
        for key, held in bound["recorded"]
    ]
    fit = max((near for is_own, near in alike if is_own), default=1.0)
    if NEARER + fit < max(near for _, near in alike) > SAME:
        yield RECORDED, "it is the answer to another request, and this one had another"


def own_things(exchange: reading.Exchange, common: str) -> dict[str, set[str]]:
    """What the request and the sources speak of, but for what many of them do."""
    found: dict[str, set[str]] = {}
    usual = {*common.split()}
    for where, text in (("request", exchange.request), ("sources", exchange.sources)):
        found[where] = {each for each in reading.content_of(text) if each not in usual}
    found["either"] = found["request"] | found["sources"]
    return {kind: things for kind, things in found.items() if things}
