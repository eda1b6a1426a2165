"""Which format a log has, and its lines as events of the one shape that sessions are made of.

Claude Code's stream-json has that shape by itself. Any other format is a :class:`LogFormat`,
which says how it is recognised and what each of its lines comes to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import ClassVar, NamedTuple

from evalkit.claude_log.reader import Event, is_event
from evalkit.jsonable import id_of, text_of
from evalkit.receipt import Receipt

_PEEKED = 200
"""Lines of a log that are looked at for what tells its format."""


class Entry(NamedTuple):
    """One line of a log: its ``type/subtype``, and the events it comes to or why to none.

    What only the end of a log tells is of no kind, and counts as no line.
    """

    kind: str
    events: Sequence[Event] = ()
    skipped: str = "carries nothing for a trace"

    def book(self, receipt: Receipt, reasons: Sequence[str | None]) -> None:
        """Book the line: used if any of its events was; ``reasons`` say why each was not."""
        if self.kind:
            receipt.settle(None if None in reasons else next(iter(reasons), self.skipped))


class LogFormat:
    """A format of logs; an object of it reads one log, or one transcript beside a log.

    A translation gives what stream-json would say: ``system/init``, ``assistant`` and ``user``
    events with Anthropic's content blocks, ``parent_tool_use_id`` for a subagent's, ``timestamp``
    where it is known, ``message.id`` and ``usage``; and ``result`` where the log tells how a
    session ended. Nothing that a log holds may make it raise an error.

    Attributes:
        name: What people call such a log, such as ``Codex's exec --json``.
        has_result: Whether its logs end with what becomes a ``result`` event, so that one without
            is cut off. Where not, the last message says how a session ended, as far as it does.
        is_whole: Whether a file holds all of a session; else what one process did of it.
    """

    name: ClassVar[str]
    has_result: ClassVar[bool] = False
    is_whole: ClassVar[bool] = True

    @staticmethod
    def recognizes(event: Event) -> bool:
        """Whether a log that holds this object is of the format; seen in no other's logs."""
        raise NotImplementedError

    @staticmethod
    def session_of(event: Event) -> tuple[str, bool]:
        """The id of the session that a line names, and whether the file is a subagent's part of it.

        Empty where the line names none.
        """
        return id_of(event.get("session_id")), False

    def split(self, event: Event) -> Iterable[Event]:
        """What counts as the lines of a log that is one document; of one with lines, the line."""
        return (event,)

    def translate(self, line: Event) -> Sequence[Event] | str:
        """The events that a line comes to, in order; or why it carries nothing for a trace."""
        raise NotImplementedError

    def finish(self) -> Sequence[Event]:
        """What only the end of the log tells."""
        return ()


def recognized_by(formats: Sequence[type[LogFormat]]) -> Callable[[Event], bool]:
    """Whether one of the formats recognises an object."""
    return lambda event: any(each.recognizes(event) for each in formats)


def recognize(
    events: Iterator[Event], formats: Sequence[type[LogFormat]]
) -> tuple[LogFormat | None, Iterator[Event]]:
    """The format of a log by its first lines, None for stream-json; and all of its lines."""
    first: list[Event] = []
    for event in islice(events, _PEEKED if formats else 0):
        first.append(event)
        found = next((each for each in formats if each.recognizes(event)), None)
        if found is not None:
            return found(), chain(first, events)
        if "session_id" in event and is_event(event):
            break
    return None, chain(first, events)


def entries(
    events: Iterable[Event], log_format: LogFormat | None, receipt: Receipt
) -> Iterator[Entry]:
    """The lines of a log, translated; those that a document holds are counted on the receipt."""
    for event in events:
        if log_format is None:
            yield Entry(_kind(event), (event,))
            continue
        receipt.lines -= 1
        for line in log_format.split(event):
            receipt.lines += 1
            done = log_format.translate(line)
            if isinstance(done, str):
                yield Entry(_kind(line), skipped=done)
            else:
                yield Entry(_kind(line), done)
    if log_format is not None and (last := log_format.finish()):
        yield Entry("", last)


def _kind(event: Event) -> str:
    return f"{text_of(event.get('type'))}/{text_of(event.get('subtype'))}"
