"""The way without a model: rules write a suite, the program verifies it, what it refuses goes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalkit.agent.loop import Event, Watch
from evalkit.agent.plan import VALIDATE, Plan, Task
from evalkit.agent.session import SessionDirectory
from evalkit.suite.generate import rule_suite
from evalkit.suite.verify import Verification, verify

if TYPE_CHECKING:
    from evalkit.suite.runner import Runner
    from evalkit.traces.sample import Survey

MOST_ROUNDS = 4
_SUBJECT = re.compile(r"(?:BAD_EXAMPLES\[')?(\w+)(?:'\])?")


def build(session: SessionDirectory, survey: Survey, runner: Runner, watch: Watch) -> Verification:
    """Write the scorers and the limits, and leave out what the program's check refuses.

    Each scorer that is refused goes once, with the reason in ``LIMITS.md``; the others are verified
    again, as what it failed may now be nobody's to fail.

    Args:
        session: Where the files go.
        survey: The traces.
        runner: Where the suite's code runs.
        watch: Told of each round.

    Returns:
        What the last round found; its problems are those that no scorer is to blame for.
    """
    without: dict[str, str] = {}
    for _ in range(MOST_ROUNDS):
        files = rule_suite(survey.rows, without)
        for path, content in files.items():
            session.folder.write(path, content)
        tried = f"the scorers are tried on {len(survey.rows)} answers, and on damaged ones"
        watch(Event("wait", tried))
        found = verify(runner, files, survey.rows)
        watch(Event("wait", f"{len(found.scorers)} scorers: {found.word}"))
        refused = {
            match[1]: " ".join(problem.split())[:200]
            for problem in found.problems
            if (match := _SUBJECT.match(problem)) and match[1] in found.scorers
        }
        if not refused:
            break
        watch(Event("wait", f"left out, because they do not hold: {', '.join(sorted(refused))}"))
        without |= refused
    return found


def plan_of(found: Verification) -> Plan:
    """What rules did as tasks, for whoever looks at a session: the scorers, and their proof."""
    names = tuple(found.scorers)
    plan = Plan((Task("rules", "Write scorers that good answers hold to", names), VALIDATE))
    plan = plan.done("rules", [f"{len(names)} scorers"])
    if found.problems:
        return plan.changed(VALIDATE.task_id, failure="\n".join(found.problems))
    proof = f"{found.word}: {found.good_rows} good of {found.rows} rows"
    return plan.done(VALIDATE.task_id, [proof])
