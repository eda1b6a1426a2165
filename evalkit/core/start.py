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

_LAST_SECOND = 253_402_300_799  # of the year 9999


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


def start_of(stated: Any, run_id: str, modified_ns: int) -> Start:
    """When a run began: as stated, else the date in its id, else a file's modification time.

    Args:
        stated: What ``run_result.json`` says: ISO 8601 text, or seconds or milliseconds since
            the epoch; anything else counts as nothing.
        run_id: May hold a date such as ``2026-07-09`` or ``20260709-153012``.
        modified_ns: When the log was last written, nanoseconds since the epoch.
    """
    known = _moment_ns(stated)
    if known is not None:
        return Start(known, inferred=False, source="run_result.json")
    found = _DATE.search(run_id)
    if found:
        parts = [int(part or 0) for part in found.groups()]
        try:
            moment = dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]
        except ValueError:  # such as 30 February
            pass
        else:
            return Start(int(moment.timestamp()) * 10**9, inferred=True, source="the run id's date")
    return Start(modified_ns, inferred=True, source="the log file's time")


def _moment_ns(stated: Any) -> int | None:
    if isinstance(stated, str):
        try:
            moment = dt.datetime.fromisoformat(stated)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        return round(moment.timestamp() * 1000) * 10**6
    if isinstance(stated, (int, float)) and not isinstance(stated, bool) and stated > 0:
        seconds = stated / 1000 if stated > 10**11 else stated
        return round(seconds * 1000) * 10**6 if seconds < _LAST_SECOND else None
    return None
