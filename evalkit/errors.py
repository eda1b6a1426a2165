"""The one error tree of evalkit, drawn once.

::

    EvalkitError                 anything evalkit raises on purpose
     ├── InputError        exit 2  a file, flag or field is wrong; carries every problem found
     │    └── LogRefused           one log gives no trace; the others of its run do
     ├── StoreError        exit 1  MLflow answered with an error, or died after the first write
     │    └── StoreAbsent  exit 0  MLflow is refused, unresolvable or silent: the stage is skipped
     ├── ModelError        exit 1  the Claude API answered with an error, or not usably
     │    └── ContextFull          the conversation is longer than the model can read
     ├── DatabricksError   exit 1  a Databricks workspace answered with an error, or not at all
     └── Unfinished        exit 1  part of the work could not be done; carries what was and was not

Every message says what is wrong, where, and what to do next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in an input: what it is, in one sentence, where, and what to do next.

    The file is as the user named it, the line counted from one, the field a dotted path such as
    ``judges[2].name``; each is empty, or None, where none is involved or known.
    """

    message: str
    file: str = ""
    line: int | None = None
    field: str = ""
    fix: str = ""

    def __str__(self) -> str:
        where = self.file + (f":{self.line}" if self.line is not None else "")
        head = ": ".join(part for part in (where, self.field, self.message) if part)
        return f"{head} ({self.fix})" if self.fix else head


class EvalkitError(Exception):
    """Base of all errors that evalkit raises on purpose; ``report`` says how far the stage got."""

    exit_code = 1

    def __init__(self, message: str = "", report: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.report: dict[str, Any] = report or {}

    def _render_traceback_(self) -> list[str]:
        """How Jupyter shows it: what is wrong, and not the way there."""
        return [f"{type(self).__name__}: {self}"]


class InputError(EvalkitError):
    """An input is wrong. Holds all problems that were found, not only the first."""

    exit_code = 2

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class LogRefused(InputError):
    """A log is empty, another agent's, or holds nothing to make a trace of; so says its receipt."""

    def __init__(self, *problems: Problem, receipt: Any) -> None:
        super().__init__(*problems)
        self.receipt = receipt


class StoreError(EvalkitError):
    """MLflow answered with an error, or stopped answering after the first write."""


class StoreAbsent(StoreError):
    """MLflow is refused, cannot be resolved, or stays silent. Nothing was written."""

    exit_code = 0


class ModelError(EvalkitError):
    """The Claude API answered with an error, or with something that cannot be used.

    Answers that broke off half-way were paid for all the same: ``usage`` are their tokens (an
    :class:`evalkit.tokens.Usage`), ``cost_usd`` what they cost, None where no price is known.
    """

    def __init__(
        self, message: str = "", *, usage: Any = None, cost_usd: float | None = 0.0
    ) -> None:
        super().__init__(message)
        self.usage = usage
        self.cost_usd = cost_usd


class ContextFull(ModelError):
    """The conversation is longer than the model can read; a shorter one can be answered."""


class DatabricksError(EvalkitError):
    """A Databricks workspace answered with an error, or not at all."""


class Unfinished(EvalkitError):
    """Part of the work could not be done; the report says what was and what was not."""
