"""What an answer has to mention to be the answer to its own question and not to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from evalkit.core.agent.code.measures import figures_in, texts_in, words_in
from evalkit.core.agent.suite import Row
from evalkit.core.mapping.wording import word_set

MOST_TERMS = 4
"""Terms that a case gets."""

FEWEST_TERMS = 2
"""Where a question and its sources give fewer, the answer's own words fill up."""

RARE = 0.2
"""Share of the questions whose answers may mention a term that still tells one from another."""

MOST_ANSWERS = 10
"""Answers to one question that are compared."""

TERM_CHARS = 40

EVERYDAY = word_set("""
    about above after again against also although always among another anything because been
    before being below best between both called came cannot come could does doing done down
    during each either else even ever every from gave give given going good have having here
    however instead into itself just keep know known last least less like likely list look
    made make many might more most much must need needs never next often once only other
    others otherwise over part parts perhaps please rather said same several shall should
    shown since some something soon such sure take taken than that their them themselves then
    there these they thing things this those though through thus together under unless until
    upon used useful using various very want well were what when where whether which while
    will with within without would your yourself
""")
"""English words that tell nothing apart, however rare they are among a few answers."""


@dataclass(frozen=True, slots=True)
class Question:
    """The same inputs, and all good answers to them.

    Attributes:
        rows: The answers, with what the tools gave.
        answers: Their words, in the same order.
    """

    rows: tuple[Row, ...]
    answers: tuple[str, ...]


def terms_by_question(questions: Mapping[str, Question]) -> dict[str, list[str]]:
    """For each question the terms that its answers have to mention.

    They stand in every recorded answer to it and in few answers to others, and rather come from the
    question or from what tools gave than from the answer's own words, which may differ next time.
    """
    common = {key: _common(question.answers) for key, question in questions.items()}
    others = Counter(
        term
        for question in questions.values()
        for term in set().union(*map(_terms, question.answers))
    )
    most = max(1, int(RARE * len(questions)))
    return {
        key: _chosen(question, common[key], others, most) for key, question in questions.items()
    }


def _chosen(question: Question, common: set[str], others: Counter[str], most: int) -> list[str]:
    row = question.rows[0]
    asked = _terms("\n".join(texts_in(dict(row.inputs))))
    given = _terms("\n".join(texts_in([step.output for step in row.steps])))
    rare = sorted((t for t in common if others[t] <= most), key=lambda t: (others[t], -len(t), t))
    ranked = [
        *(term for term in rare if term in asked),
        *(term for term in rare if term in given - asked),
    ]
    own = [term for term in rare if term not in asked | given]
    chosen = ranked[:MOST_TERMS] or own[:MOST_TERMS]
    chosen += [term for term in own if term not in chosen][: max(0, FEWEST_TERMS - len(chosen))]
    return chosen or sorted(common & asked, key=lambda t: (-len(t), t))[:FEWEST_TERMS]


def _common(answers: Sequence[str]) -> set[str]:
    return reduce(set.intersection, map(_terms, answers[:MOST_ANSWERS]))


def _terms(text: str) -> set[str]:
    figures = {each.casefold() for each in figures_in(text)}
    return {term for term in words_in(text) | figures if len(term) <= TERM_CHARS} - EVERYDAY
