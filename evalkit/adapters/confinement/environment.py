"""The environment of a confined program: nothing of the caller's but what is named here."""

from __future__ import annotations

import os
import site
from collections.abc import Mapping
from pathlib import Path

from evalkit.adapters.confinement.policy import Policy

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
ALLOWED = ("PATH", "LANG", "LC_ALL", "TZ", *CERTIFICATES)

FRUGAL = {
    # Each thread and each core reserves address space, of which the policy gives so much.
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "2",
    # What it printed before it was killed is what explains it.
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def environment(policy: Policy, env: Mapping[str, str], home: Path) -> dict[str, str]:
    """The whole environment of a run; ``home``, its private directory, is so whatever else says."""
    copied = (*ALLOWED, *policy.pass_env)
    return {
        **FRUGAL,
        **user_packages(),
        **{name: os.environ[name] for name in copied if name in os.environ},
        **policy.env,
        **env,
        "HOME": str(home),
        "TMPDIR": str(home),
    }


def user_packages() -> dict[str, str]:
    """Where `pip install --user` put packages; without it they are sought in the private home."""
    return {"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}
