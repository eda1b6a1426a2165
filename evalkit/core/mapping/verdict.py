"""The verdict on a place: whether it is an input, an expectation or neither, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["inputs", "expectations", "out", "mixed", "remark", "open"]

FIRM = 2
"""Weight of a verdict that stands on clear words."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says of a place.

    Attributes:
        part: Where it goes; all but inputs and expectations are left out. ``mixed`` holds what
            is given and what is expected in one. What only readers of the case need is a
            ``remark``, and ``open`` means that nothing says: these two become inputs where a
            case would have none otherwise.
        reason: Why, in a sentence that a person understands.
        weight: 2 where clear words about this very place decide, 1 where a common word does (or,
            where it is open, words that lean to no side), 0 where only its company does.
    """

    part: Part
    reason: str
    weight: int = FIRM

    @property
    def gives_away(self) -> bool:
        """Whether the skill would clearly see what is expected, were this an input."""
        return self.part == "mixed" or (self.part == "expectations" and self.weight == FIRM)
