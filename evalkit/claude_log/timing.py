"""When things happened: what the log says where it does, and an honest layout where not.

Events have timestamps, or only tool results have, or none; nearly all logs say how long a session
took. What is not known is laid out in the log's order between what is, and marked as inferred.
"""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from evalkit.jsonable import Json, is_number, text_of
from evalkit.tokens import LONGEST_S

MILLISECOND = 1_000_000

_EARLIEST = 946_684_800 * 10**9  # 2000: before it a timestamp is a mistake
_LATEST = 4_102_444_800 * 10**9  # 2100
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_SHORT = 10  # times that span less than this part of a duration are not those of the events
_DATE = re.compile(
    r"(?<!\d)(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])"
    r"(?:[T_-]?([01]\d|2[0-3])[:-]?([0-5]\d)(?:[:-]?([0-5]\d))?)?(?!\d)"
)


@dataclass(frozen=True, slots=True)
class Start:
    """When something began, where no event says so."""

    ns: int  # since the epoch
    inferred: bool  # from a date in the run id or a file's time rather than stated
    source: str  # for people


def start_of(logged_ns: int | None, stated: Json, run_id: str, modified_ns: int) -> Start:
    """When a run began, from what its directory knows; never from the clock.

    That is the earliest time in its logs, what ``run_result.json`` says, a date in the run's id
    such as ``2026-07-09`` or ``20260709-153012`` (at noon, without a time of day), or when the log
    was last written.
    """
    if logged_ns is not None:
        return Start(logged_ns, inferred=False, source="the first time in the run's logs")
    if (known := parse_time(stated)) is not None:
        ns = round(known / MILLISECOND) * MILLISECOND
        return Start(ns, inferred=False, source="run_result.json")
    if found := _DATE.search(run_id):
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        hour = hour if found[4] else 12
        with suppress(ValueError):  # such as 30 February
            moment = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
            return Start(int(moment.timestamp()) * 10**9, inferred=True, source="the run id's date")
    return Start(modified_ns, inferred=True, source="the log file's time")


@dataclass(slots=True, eq=False)
class Tick:
    """One event on a time line, in nanoseconds since the epoch; spans begin and end at ticks."""

    stamp: int | None = None  # what the log says
    place: int = 0  # among the log's events
    at: int = 0  # where it lies in the end


@dataclass(slots=True)
class Line:
    """The ticks of one session, at least one, in the log's order; ``duration`` in nanoseconds."""

    ticks: list[Tick]
    duration: int | None = None

    @property
    def stamps(self) -> list[tuple[int, int]]:
        """The ticks with a time of their own, by their index."""
        return [(i, tick.stamp) for i, tick in enumerate(self.ticks) if tick.stamp is not None]

    @property
    def length(self) -> int:
        """The duration; where it is not known, as short as keeps the order visible."""
        if self.duration is not None:
            return self.duration
        return (len(self.ticks) - 1) * MILLISECOND

    def begin(self, otherwise: int = 0) -> int:
        """When it began: at its first stamp, or before that by its share of the duration."""
        if not (known := self.stamps):
            return otherwise
        (first, begin), (last, end) = known[0], known[-1]
        outside = first + len(self.ticks) - 1 - last
        if not outside or self.duration is None:
            return begin
        return begin - max(0, self.duration - (end - begin)) * first // outside


def parse_time(raw: Json) -> int | None:
    """Nanoseconds since the epoch, from ISO 8601 (UTC without a zone), seconds or milliseconds.

    None where it is no time, or none between 2000 and 2100.
    """
    if isinstance(raw, str):
        try:
            moment = dt.datetime.fromisoformat(raw)
        except ValueError:
            return None
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
        ns = (moment - _EPOCH) // _MICROSECOND * 1000
    elif isinstance(raw, (int, float)) and not isinstance(raw, bool) and 0 < raw < _LATEST:
        ns = int(raw * (MILLISECOND if raw > 10**11 else 10**9))
    else:
        return None
    return ns if _EARLIEST <= ns < _LATEST else None


def parse_duration(milliseconds: Json) -> int | None:
    """Nanoseconds; None where it is no time that a session takes."""
    if is_number(milliseconds) and 0 <= milliseconds < LONGEST_S * 1000:
        return int(milliseconds) * MILLISECOND
    return None


def align_times(
    kinds: Sequence[str], times: Sequence[Mapping[str, Json]]
) -> list[int | None] | None:
    """A time for each event of a log, None where it has none, from times that lie beside it.

    None where these (``{type, subtype, timestamp}``) and the log's events (``type/subtype``) do
    not line up one by one; the prompt at the log's begin may be missing among them.
    """
    if not times or not all(isinstance(each, dict) for each in times):
        return None
    seen = [f"{text_of(t.get('type'))}/{text_of(t.get('subtype'))}" for t in times]
    stamps = [parse_time(t.get("timestamp")) for t in times]
    if seen == list(kinds):
        return stamps
    return [None, *stamps] if ["user/", *seen] == list(kinds) else None


def drop_outliers(ticks: Iterable[Tick]) -> int:
    """Forget the fewest timestamps that leave the others in order; how many they were."""
    stamped = [tick for tick in ticks if tick.stamp is not None]
    stamps = [tick.stamp or 0 for tick in stamped]
    if all(a <= b for a, b in pairwise(stamps)):
        return 0
    tops: list[int] = []  # of patience sorting's piles
    piles: list[int] = []
    for stamp in stamps:
        piles.append(bisect_right(tops, stamp))
        tops[piles[-1] : piles[-1] + 1] = [stamp]
    wanted, latest = len(tops) - 1, max(stamps)
    for tick, pile in zip(reversed(stamped), reversed(piles), strict=True):
        if pile == wanted and (tick.stamp or 0) <= latest:  # of a longest run that never falls
            wanted, latest = wanted - 1, tick.stamp or 0
        else:
            tick.stamp = None
    return len(stamped) - len(tops)


def lay_out(lines: Sequence[Line], start: int) -> None:
    """Give every tick its place in time, spread evenly between those that are known.

    Sessions without any timestamp follow the one before them, or precede the one after them;
    ``start`` is when the first began, if no session says.
    """
    for line in lines:
        _make_room(line)
    first = next((i for i, line in enumerate(lines) if line.stamps), None)
    if first is not None:
        start = lines[first].begin() - sum(line.length for line in lines[:first])
    for line in lines:
        ticks, known, begin = line.ticks, line.stamps, line.begin(start)
        lasts = (line.duration or 0) if known else line.length
        end = max([begin + lasts, *(stamp for _, stamp in known[-1:])])
        for (a, since), (b, until) in pairwise([(0, begin), *known, (len(ticks) - 1, end)]):
            for i in range(a, b + 1):
                ticks[i].at = since + (until - since) * (i - a) // max(1, b - a)
        start = ticks[-1].at


def _make_room(line: Line) -> None:
    """Let a line begin before its first tick where its ticks cannot show how long it took.

    Such are a result alone, and times that somebody stamped when all was over.
    """
    first, last = line.ticks[0], line.ticks[-1]
    seen = (last.stamp or 0) - (first.stamp or 0)
    both = first.stamp is not None and last.stamp is not None
    is_short = first is last or (both and seen < line.length // _SHORT)
    if is_short and line.duration is not None:
        line.ticks.insert(0, Tick())
