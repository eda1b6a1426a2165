"""When a run began, from what its directory knows; never from the clock."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

_DATE = re.compile(
    r"(?<!\d)(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])"
    r"(?:[T_-]?([01]\d|2[0-3])[:-]?([0-5]\d)(?:[:-]?([0-5]\d))?)?(?!\d)"
)

_LAST_SECOND = 9_223_372_036  # in 2262, the last that MLflow can count in nanoseconds


@dataclass(frozen=True, slots=True)
class Start:
    """When something began, where no event says so.

    Attributes:
        ns: Nanoseconds since the epoch.
        inferred: Whether it was inferred (a date in the run id, a file's time) instead of stated.
        source: Where it comes from, for people.
    """

    ns: int
    inferred: bool
    source: str


def start_of(logged_ns: int | None, stated: Any, run_id: str, modified_ns: int) -> Start:
    """When a run began: as logged, as stated, as its id says, else a file's modification time.

    Args:
        logged_ns: The earliest time in its logs; None where they say none.
        stated: What ``run_result.json`` says: ISO 8601 text, or seconds or milliseconds since
            the epoch; anything else counts as nothing.
        run_id: May hold a date such as ``2026-07-09`` or ``20260709-153012``; without a time of
            day, noon is taken.
        modified_ns: When the log was last written, nanoseconds since the epoch.
    """
    if logged_ns is not None:
        return Start(logged_ns, inferred=False, source="the first time in the run's logs")
    known = _moment_ns(stated)
    if known is not None:
        return Start(known, inferred=False, source="run_result.json")
    found = _DATE.search(run_id)
    if found:
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        hour = hour if found[4] else 12
        try:
            moment = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
        except ValueError:  # such as 30 February
            pass
        else:
            return Start(int(moment.timestamp()) * 10**9, inferred=True, source="the run id's date")
    return Start(modified_ns, inferred=True, source="the log file's time")


def _moment_ns(stated: Any) -> int | None:
    seconds = _seconds(stated)
    return round(seconds * 1000) * 10**6 if 0 < seconds < _LAST_SECOND else None


def _seconds(stated: Any) -> float:
    """Seconds since the epoch; 0 where nothing is stated that can be read."""
    if isinstance(stated, str):
        try:
            moment = dt.datetime.fromisoformat(stated)
        except ValueError:
            return 0
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    if isinstance(stated, (int, float)) and not isinstance(stated, bool) and stated < 10**15:
        return stated / 1000 if stated > 10**11 else stated
    return 0
