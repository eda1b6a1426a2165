"""Programs that nobody has read, run so that they reach nothing but their own directory.

Landlock closes files, seccomp sockets and all else that is shared; namespaces, where the machine
lets us have them, hide other processes too. A watch holds what all of them use together.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum
from io import FileIO
from pathlib import Path
from typing import cast

from evalkit.core.errors import InputError, Problem, Unfinished
from evalkit.suite.sandbox_child import TRUNCATION, landlock_version
from evalkit.suite.sandbox_rules import environment, readable
from evalkit.suite.sandbox_totals import Plan, remove_tree

MIB = 1 << 20
CHUNK = 65_536
PROBE_S = 30.0
PATIENCE_S = 10.0  # for a killed tree of processes to be gone
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
# Isolated and without packages, so that it starts in no time; evalkit alone is put on its path.
ENTER = (
    "import json, sys; sys.path.append(sys.argv[1]);"
    "from evalkit.suite.sandbox_child import Plan, main; main(Plan(*json.loads(sys.argv[2])))"
)
ROOT = Path(__file__).parents[2]


class Mechanism(Enum):
    """How a program is confined, strongest first.

    Attributes:
        NAMESPACES: As LANDLOCK, and processes, shared memory and network devices of its own.
        LANDLOCK: The kernel refuses files (Landlock) and sockets (seccomp) that are not its own.
        NONE: Limits, a bare environment and a private home. Neither files nor network are closed.
    """

    NAMESPACES = "namespaces and landlock"
    LANDLOCK = "landlock"
    NONE = "limits only"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a confined program may use.

    Attributes:
        unconfined: Whether to run programs where files and network cannot be closed to them.
        allow_network: Whether it may use the internet protocols. Unix sockets stay closed.
        pass_env: Names copied from the caller's environment, where they are set, beside a small
            allowlist (`PATH`, language, time zone, certificates).
        read_only: What it may read beside the interpreter, its packages and the system's libraries.
        cpu_s: Seconds of processor time of each process.
        memory_mb: MiB of memory of all its processes, and of address space of each.
        processes: How many processes and threads there may be at once.
        disk_mb: MiB that it may add to its directory, home and ``/dev/shm`` together.
        output_bytes: How much of each stream is kept, in bytes; the tail is.
    """

    unconfined: bool = False
    allow_network: bool = False
    pass_env: tuple[str, ...] = ()
    read_only: tuple[Path, ...] = ()
    cpu_s: int = 300
    memory_mb: int = 4096
    processes: int = 256
    disk_mb: int = 1024
    output_bytes: int = 64_000


@dataclass(frozen=True, slots=True)
class Ended:
    """How a confined program ended.

    Attributes:
        returncode: Its exit code; the negative number of the signal that ended it.
        stdout: The tail of what it printed.
        stderr: The tail of what it printed to stderr.
        seconds: From the call until the last of its processes was gone.
        timed_out: Whether it was killed because its time was up.
        exceeded: Which limit on all its processes it was killed at, in words; empty where at none.
    """

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool
    exceeded: str


class Sandbox:
    """The strongest confinement that works on this machine, found out once by trying.

    It runs Python programs with one directory to write to, limits, a bare environment and a private
    home, and ends every process that they start. Threads may share it.

    Attributes:
        policy: What programs may use.
        mechanism: How they are confined.
        name: What is in force, in words for a report.
    """

    def __init__(self, policy: Policy | None = None, *, mechanism: Mechanism | None = None) -> None:
        """Try the mechanisms, strongest first; or only the one that is asked for.

        Raises:
            InputError: None of them holds here, and the policy does not allow to go without.
        """
        self.policy = policy or Policy()
        obstacles = []
        for self.mechanism in (mechanism,) if mechanism else Mechanism:
            if not (why := self._obstacle()):
                break
            obstacles.append(f"{self.mechanism.value}: {why}")
        else:
            raise InputError(
                Problem(
                    f"model-written code cannot be confined here; {'; '.join(obstacles)}",
                    field="--unconfined",
                    fix="run evalkit in a Linux container (kernel 6.2 or later with Landlock), or"
                    " give --unconfined, with which that code reaches files, network and secrets",
                )
            )
        if self.mechanism is Mechanism.NONE:
            self.name = "limits only: files, network and secrets of the caller are within reach"
        else:
            network = "network allowed" if self.policy.allow_network else "no network"
            version = landlock_version()
            self.name = f"{self.mechanism.value} (abi {version}): own files, {network}"

    def run(
        self,
        argv: Sequence[str],
        workdir: Path,
        *,
        timeout_s: float,
        env: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run this interpreter with ``argv`` in ``workdir``, the only directory it may write to.

        ``HOME`` and ``TMPDIR`` are a private directory whatever ``env`` says. When this returns, or
        raises, none of its processes is left, and that directory is gone.

        Raises:
            Unfinished: The program could not be started as confined as it should be.
        """
        began, policy, place = time.monotonic(), self.policy, workdir.resolve(strict=True)
        with ExitStack() as opened:
            home = tempfile.mkdtemp(prefix="evalkit-home-")
            opened.callback(remove_tree, home)
            lifeline, hand = _pipe(opened)
            ear, status = _pipe(opened)
            plan = Plan(
                argv=[sys.executable, *argv],
                readable=readable(policy.read_only),
                writable=[str(place), home],
                namespaces=self.mechanism is Mechanism.NAMESPACES,
                confined=self.mechanism is not Mechanism.NONE,
                allow_network=policy.allow_network,
                cpu_s=policy.cpu_s,
                memory=policy.memory_mb * MIB,
                processes=policy.processes,
                disk=policy.disk_mb * MIB,
                lifeline=lifeline.fileno(),
                status=status.fileno(),
            )
            process = opened.enter_context(
                _keeper(plan, environment(policy.pass_env, env or {}, home))
            )
            opened.callback(_end, process, hand)
            lifeline.close()
            status.close()
            out, err = cast("FileIO", process.stdout), cast("FileIO", process.stderr)
            streams = {stream.fileno(): bytearray() for stream in (ear, out, err)}
            timed_out = not _follow(streams, ear.fileno(), timeout_s, policy.output_bytes)
            if timed_out:
                _let_go(hand)
                _follow(streams, ear.fileno(), PATIENCE_S, policy.output_bytes)
        said, stdout, stderr = (text.decode(errors="replace") for text in streams.values())
        words = dict(line.split(" ", 1) for line in said.splitlines())
        if "failed" in words:
            raise Unfinished(f"the confined program could not be started: {words['failed']}")
        returncode = int(words.get("returncode", -signal.SIGKILL))
        exceeded = words.get("exceeded", "")
        return Ended(returncode, stdout, stderr, time.monotonic() - began, timed_out, exceeded)

    def _obstacle(self) -> str:
        """Why this mechanism does not hold here, found out by trying; empty where it does."""
        if self.mechanism is Mechanism.NONE:
            return "" if self.policy.unconfined else "not allowed"
        if landlock_version() < TRUNCATION:
            return f"this kernel's Landlock is version {landlock_version()}, not {TRUNCATION}"
        with tempfile.TemporaryDirectory(prefix="evalkit-probe-") as place:
            secret, workdir = Path(place, "secret"), Path(place, "work")
            secret.write_text("nobody should read this")
            workdir.mkdir()
            network = "network" if self.policy.allow_network else ""
            probe = ["-I", "-S", "-c", PROBE, str(secret), network]
            try:
                ended = self.run(probe, workdir, timeout_s=PROBE_S)
            except Unfinished as error:
                return str(error)
        return "" if ended.returncode == 0 else f"it does not hold: {ended.stderr}"


def _pipe(opened: ExitStack) -> tuple[FileIO, FileIO]:
    """A pipe, to read and to write, closed with the stack and not inherited."""
    read, write = os.pipe()
    return opened.enter_context(FileIO(read)), opened.enter_context(FileIO(write, "w"))


def _keeper(plan: Plan, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """The process that confines; once it is there, it has to be ended."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", ENTER, str(ROOT), json.dumps(plan)],
        cwd=plan.writable[0],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        pass_fds=(plan.lifeline, plan.status),
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes], hand: FileIO) -> None:
    """End the process that confines, and with it all below; whatever happened meanwhile."""
    _let_go(hand)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _let_go(hand: FileIO) -> None:
    """Let go of the lifeline: all at its other end is killed, unless it is gone already."""
    with suppress(BrokenPipeError):
        hand.write(b"!")


def _follow(streams: Mapping[int, bytearray], ear: int, seconds: float, most: int) -> bool:
    """Read along until the ear hears the end of the sandbox; False where the time is up before.

    The streams themselves may stay open for longer: what is in them by then is what counts, and of
    each the last bytes that there is room for.
    """
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for stream, tail in streams.items():
            selector.register(stream, selectors.EVENT_READ, tail)
        while True:
            ended = ear not in selector.get_map()
            ready = selector.select(0 if ended else max(0.0, deadline - time.monotonic()))
            if ended and not ready:
                return True
            if not ended and (not ready or time.monotonic() > deadline):
                return False
            for key, _ in ready:
                if chunk := os.read(key.fd, CHUNK):
                    key.data.extend(chunk)
                    del key.data[: max(0, len(key.data) - (CHUNK if key.fd == ear else most))]
                else:
                    selector.unregister(key.fd)
