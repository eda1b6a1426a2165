"""Programs that nobody has read, run so that they reach nothing but their own directory.

Landlock closes files, seccomp sockets and all else that is shared; a watch holds what all of them
use together. Where the kernel does not offer both, nothing is run unless the policy says so.
"""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalkit.errors import InputError, Problem, Unfinished
from evalkit.suite.sandbox_child import Launch, Policy

__all__ = ("Ended", "Policy", "Sandbox", "remove_tree")
PROBE = """
import contextlib, os, socket, sys
for attempt in sys.argv[1:]:
    with contextlib.suppress(OSError):
        sys.exit(f"{attempt} is not refused, but gives {eval(attempt)}")
"""
# Isolated and without packages, so that it starts in no time; evalkit alone is put on its path.
ENTER = (
    "import sys; sys.path.append(sys.argv[1]); import evalkit.suite.sandbox_child as c; c.main()"
)
ROOT = Path(__file__).parents[2]
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
ALLOWED = ("PATH", "LANG", "LC_ALL", "TZ", *CERTIFICATES)
# Each thread reserves address space, of which there is so much; what was printed last explains.
FRUGAL = dict.fromkeys(("MALLOC_ARENA_MAX", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")
FRUGAL |= dict.fromkeys(("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"), "1")
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"),
    *("/etc/timezone", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/hosts"),
    *("/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/mime.types"),
    *("/sys/devices/system/cpu", "/sys/fs/cgroup", "/proc/self", "/proc/cpuinfo", "/proc/meminfo"),
    *("/proc/stat", "/proc/uptime", "/proc/loadavg", "/proc/version", "/proc/filesystems"),
    *("/proc/sys/kernel", "/proc/sys/vm"),  # but of no other process, whose words may be secrets
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a confined program ended."""

    returncode: int  # or the negative number of the signal that ended it
    stdout: str  # the tail of it
    stderr: str
    exceeded: str  # its time, or the limit on all its processes, that it was killed at; else empty


class Sandbox:
    """Runs Python programs with one directory to write to, limits, and a private home.

    Threads may share it. What is in force, in words for a report, is its ``name``.
    """

    def __init__(self, policy: Policy | None = None, *, confine: bool = True) -> None:
        """Try it; ``confine`` is for tests of what is left where that cannot be had.

        Raises:
            InputError: It does not hold here, and the policy does not allow to go without.
        """
        self._policy, self._is_confined = policy or Policy(), confine
        obstacle = self._obstacle() if confine else "not asked for"
        self._is_confined = not obstacle
        if obstacle and not self._policy.unconfined:
            what = f"model-written code cannot be confined here: {obstacle}"
            fix = "run evalkit in a Linux container (kernel 6.2 or later with Landlock), or give "
            fix += "--unconfined, with which that code reaches files, network and secrets"
            raise InputError(Problem(what, field="--unconfined", fix=fix))
        network = "network allowed" if self._policy.allow_network else "no network"
        confined = f"landlock and seccomp: own files, {network}"
        weak = "limits only: files, network and secrets of the caller are within reach"
        self.name = weak if obstacle else confined

    def run(
        self,
        argv: Sequence[str],
        workdir: Path,
        *,
        timeout_s: float,
        env: Mapping[str, str] = FRUGAL,
    ) -> Ended:
        """Run this interpreter with ``argv`` in ``workdir``, the only directory it may write to.

        ``HOME`` and ``TMPDIR`` are a private directory whatever ``env`` says. When this returns, or
        raises, none of its processes is left, and that directory is gone.

        Raises:
            Unfinished: The program could not be started as confined as it should be.
        """
        place = workdir.resolve(strict=True)
        home = tempfile.mkdtemp(prefix="evalkit-home-")
        copied = {n: os.environ[n] for n in (*ALLOWED, *self._policy.pass_env) if n in os.environ}
        # Where `pip install --user` put packages; without it they are sought in the private home.
        user_packages = {"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}
        argv, writable = [sys.executable, *argv], [str(place), home]
        plan = Launch(argv, _readable(), writable, self._is_confined, timeout_s, self._policy)
        try:
            with subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", ENTER, str(ROOT), json.dumps(plan)],
                cwd=place,
                env={**FRUGAL, **user_packages, **copied, **env, "HOME": home, "TMPDIR": home},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process:
                try:
                    answer = process.stdout.read() if process.stdout else b""
                finally:  # at the end of its input it ends all that is left
                    process.communicate()
        finally:
            remove_tree(home)
        try:
            return Ended(**json.loads(answer))
        except ValueError as error:
            why = answer.decode(errors="replace")
            raise Unfinished(f"the confined program could not be started: {why}") from error

    def _obstacle(self) -> str:
        """Why it does not hold here, found out by trying; empty where it does."""
        attempts = ["os.listdir('..')"] + ["socket.socket()"] * (not self._policy.allow_network)
        with tempfile.TemporaryDirectory(prefix="evalkit-probe-") as place:
            probe, workdir = ["-I", "-S", "-c", PROBE, *attempts], tempfile.mkdtemp(dir=place)
            try:
                ended = self.run(probe, Path(workdir), timeout_s=60)
            except Unfinished as error:
                return str(error)
        return ended.stderr or ended.exceeded if ended.returncode else ""


def remove_tree(place: str) -> None:
    """Remove what a program left: it may be deeper than paths can say, or closed to its owner."""
    for command in (["chmod", "-R", "u+rwX", place], ["rm", "-rf", place]):
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL)


def _readable() -> list[str]:
    """Interpreter, packages and libraries, but of no working tree whose install is editable."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    prefixes.add(str(Path(sys.executable).resolve().parent))
    packages = {place for place in sys.path if place.endswith(("/site-packages", "/dist-packages"))}
    certificates = {os.environ[name] for name in CERTIFICATES if name in os.environ}
    return [*SYSTEM, *sorted(prefixes | packages | certificates)]
