"""The way without a model: rules write a suite, the program verifies it, and mends or drops."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalkit.agent.loop import Event, Watch
from evalkit.agent.session import SessionDirectory
from evalkit.suite.generate import rule_suite
from evalkit.suite.verify import Verification, verify

if TYPE_CHECKING:
    from evalkit.suite.runner import Runner
    from evalkit.traces.sample import Survey

MOST_ROUNDS = 4
_SUBJECT = re.compile(r"(?:BAD_EXAMPLES\[')?(\w+)")


def build(session: SessionDirectory, survey: Survey, runner: Runner, watch: Watch) -> Verification:
    """Write the scorers and the limits, and leave out what the program's check refuses.

    Args:
        session: Where the files go.
        survey: The traces.
        runner: Where the suite's code runs.
        watch: Told of each round.
    """
    without: set[str] = set()
    for _ in range(MOST_ROUNDS):
        files = rule_suite(survey.rows, sorted(without))
        for path, content in files.items():
            session.folder.write(path, content)
        watch(
            Event(
                "wait", f"the scorers are tried on {len(survey.rows)} answers, and on damaged ones"
            )
        )
        found = verify(runner, files, survey.rows)
        watch(Event("wait", f"{len(found.scorers)} scorers: {found.word}"))
        subjects = {m[1] for each in found.problems if (m := _SUBJECT.match(each))}
        refused = subjects & {*found.scorers} - without
        if not refused:
            break
        without |= refused
        watch(
            Event("wait", f"left out, because good answers fail them: {', '.join(sorted(refused))}")
        )
    return found
