"""What a Python program has to read to run at all: the interpreter, its packages, the system's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from evalkit.adapters.confinement.environment import CERTIFICATES
from evalkit.adapters.confinement.policy import Policy

SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/mime.types",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
)

PACKAGES = ("site-packages", "dist-packages")


def readable(policy: Policy) -> tuple[str, ...]:
    """Every place that may be read, as absolute paths; some may not exist.

    Editable installs are left out: their folder is a working tree, with whatever else lies in it.
    """
    interpreter = {
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        sys.base_exec_prefix,
        str(Path(sys.executable).resolve().parent),
    }
    packages = {place for place in sys.path if Path(place).name in PACKAGES}
    certificates = {os.environ[name] for name in CERTIFICATES if name in os.environ}
    asked_for = {str(path.absolute()) for path in policy.read_only}
    return (*SYSTEM, *sorted(interpreter | packages | certificates | asked_for))
