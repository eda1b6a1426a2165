"""Programs that nobody has read, run so that they reach nothing but their own directory."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from evalkit.adapters.confinement.cell import landlock
from evalkit.adapters.confinement.cell.plan import Plan
from evalkit.adapters.confinement.environment import environment
from evalkit.adapters.confinement.execution import Ending, execute
from evalkit.adapters.confinement.levels import Level, in_words, is_strong
from evalkit.adapters.confinement.places import readable
from evalkit.adapters.confinement.policy import Outcome, Policy
from evalkit.core.errors import InputError, Problem, Unfinished

MIB = 1 << 20
GRACE_S = 5  # between the signal that the processor time is used up and the one that kills
PROBE_S = 30.0
# Ends with 0 where the file beside its directory and a socket are both refused.
PROBE = """
import pathlib, socket, sys
def refused(action, *arguments):
    try:
        action(*arguments)
    except OSError:
        return True
network = sys.argv[2] == "network" or refused(socket.socket)
sys.exit(not (network and refused(pathlib.Path(sys.argv[1]).read_text)))
"""


class Confinement:
    """The strongest confinement that works on this machine, found out once by trying.

    It runs Python programs with one directory to write to, limits, a bare environment and a private
    home, and ends every process that they start. Threads may share it.

    Attributes:
        policy: What programs may use.
        level: How they are confined.
        name: What is in force, in words for a report.
        strong: Whether the caller's files, secrets and network are really out of reach.
    """

    def __init__(self, policy: Policy | None = None, *, level: Level | None = None) -> None:
        """Try the levels, strongest first; or only the one that is asked for.

        Raises:
            InputError: The policy requires strong confinement, and there is none here; or the
                level that was asked for does not work here.
        """
        self.policy = policy or Policy()
        obstacles = {}
        for candidate in (level,) if level else tuple(Level):
            obstacles[candidate] = self._obstacle(candidate)
            if not obstacles[candidate]:
                break
        else:
            raise InputError(Problem(f"this confinement does not hold here{_told(obstacles)}"))
        self.level = candidate
        abi = landlock.abi() if self.level.confines else 0
        self.name = in_words(self.level, abi, allow_network=self.policy.allow_network)
        self.strong = is_strong(self.level, abi)
        if self.policy.require and not self.strong:
            raise InputError(
                Problem(
                    f"programs cannot be confined here ({self.name}){_told(obstacles)}",
                    field="--require-sandbox",
                    fix="run on Linux 6.2 or later with Landlock enabled, or without the flag",
                )
            )

    def run(
        self,
        argv: Sequence[str],
        workdir: Path,
        *,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Outcome:
        """Run this interpreter with ``argv`` in ``workdir``, the only directory it may write to.

        ``env`` comes on top of the policy's, ``timeout_s`` instead of it. When this returns, or
        raises, none of its processes is left, and its private home is gone.

        Raises:
            Unfinished: The program could not be started as confined as it should be.
        """
        begun = time.monotonic()
        seconds = self.policy.timeout_s if timeout_s is None else timeout_s
        ending = self._execute(self.level, argv, workdir, env or {}, seconds)
        return Outcome(
            returncode=ending.returncode,
            stdout=ending.stdout.text(),
            stderr=ending.stderr.text(),
            seconds=time.monotonic() - begun,
            timed_out=ending.timed_out,
            truncated=ending.stdout.cut or ending.stderr.cut,
            confinement=self.name,
        )

    def _obstacle(self, level: Level) -> str:
        """Why this level does not hold here, found out by trying; empty where it does."""
        if not level.confines:
            return ""
        with tempfile.TemporaryDirectory(prefix="evalkit-probe-") as place:
            secret, workdir = Path(place, "secret"), Path(place, "work")
            secret.write_text("nobody should read this")
            workdir.mkdir()
            network = "network" if self.policy.allow_network else ""
            probe = ["-I", "-S", "-c", PROBE, str(secret), network]
            try:
                ending = self._execute(level, probe, workdir, {}, PROBE_S)
            except Unfinished as error:
                return str(error)
        return "" if ending.returncode == 0 else f"it does not hold: {ending.stderr.text()}"

    def _execute(
        self,
        level: Level,
        argv: Sequence[str],
        workdir: Path,
        env: Mapping[str, str],
        seconds: float,
    ) -> Ending:
        place = workdir.resolve(strict=True)
        with tempfile.TemporaryDirectory(
            prefix="evalkit-home-", ignore_cleanup_errors=True
        ) as home:

            def plan(lifeline: int, status: int) -> Plan:
                return Plan(
                    argv=(sys.executable, *argv),
                    readable=readable(self.policy),
                    writable=(str(place), home),
                    limits=limits(self.policy),
                    namespaces=level is Level.NAMESPACES,
                    confined=level.confines,
                    allow_network=self.policy.allow_network,
                    lifeline=lifeline,
                    status=status,
                )

            return execute(
                plan,
                workdir=place,
                env=environment(self.policy, env, Path(home)),
                timeout_s=seconds,
                output_bytes=self.policy.output_bytes,
            )


def _told(obstacles: Mapping[Level, str]) -> str:
    return "".join(f"; {level.value}: {why}" for level, why in obstacles.items() if why)


def limits(policy: Policy) -> dict[str, tuple[int, int]]:
    """The resource limits of each process, soft and hard, by their names in `resource`."""
    same = {
        "RLIMIT_FSIZE": policy.file_mb * MIB,
        "RLIMIT_NOFILE": policy.open_files,
        "RLIMIT_CORE": 0,
    }
    if sys.platform == "linux":  # elsewhere the limit exists and setting it fails
        same["RLIMIT_AS"] = policy.memory_mb * MIB
    cpu = {"RLIMIT_CPU": (policy.cpu_s, policy.cpu_s + GRACE_S)}
    return cpu | {name: (value, value) for name, value in same.items()}
