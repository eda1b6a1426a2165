"""Whether the answers of a route are labels: short words, of which there are few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from evalkit.core.agent.code.measures import parsed_json

LABEL_CHARS = 40
"""Longer answers are texts."""

FEWEST_QUESTIONS = 8
"""Of fewer questions nobody can tell whether their answers are all that there are."""

MOST_LABELS = 24

NEW = 0.05
"""Chance that the next answer is one that was never seen: with more, the known ones are not all."""


def label_of(answers: Sequence[str]) -> str:
    """The label that all answers to a question are; empty where they differ or are no labels."""
    label = answers[0].strip()
    is_one = all(answer.strip() == label for answer in answers)
    is_short = len(label) <= LABEL_CHARS and "\n" not in label and parsed_json(label) is None
    return label if is_one and is_short else ""


def labels_of(questions: Sequence[Sequence[str]]) -> list[str]:
    """The labels that a route's answers are; empty where they are none, or not all are known.

    The chance that the next answer is a new one is the share of those that were seen for one
    question only (Good and Turing's estimate).

    Args:
        questions: The words of the answers to each question.
    """
    seen = Counter(label for answers in questions for label in {each.strip() for each in answers})
    are_labels = all(label_of([label]) for label in seen)
    once = sum(count == 1 for count in seen.values())
    are_known = len(questions) >= FEWEST_QUESTIONS and once <= NEW * seen.total()
    return sorted(seen) if are_labels and are_known and 1 < len(seen) <= MOST_LABELS else []
