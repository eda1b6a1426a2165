"""Whether a Databricks workspace is there at all: its SDK would try for minutes."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

from evalkit.errors import StoreAbsent, StoreError
from evalkit.store.failures import is_absence, is_tls, reason
from evalkit.store.waiting import within

_SETTINGS = "__settings__"
"""The section of the SDK's file that names the profile to take where none is named."""


def ask_workspace(uri: str, *, timeout_s: float) -> str:
    """Knock at a Databricks workspace; its address, as far as it is known.

    Whatever answers will do: credentials are the SDK's affair, and where it finds the host by other
    ways than the environment and its file of profiles, as on Databricks, nobody is asked.

    Raises:
        StoreAbsent: nobody answers in time.
        StoreError: what is configured is no address, or no secure connection comes about.
    """
    import requests

    host = workspace_host(uri, os.environ)
    if not host:
        return ""

    def knock() -> None:
        try:
            requests.head(host, timeout=timeout_s, allow_redirects=False).close()
        except (requests.RequestException, ValueError) as error:
            if is_absence(error):
                said = f"the workspace at {host} is not reachable: {reason(error)}"
                raise StoreAbsent(said) from error
            if is_tls(error) or not isinstance(error, requests.ConnectionError):
                raise StoreError(
                    f"{host} cannot be used as a workspace ({reason(error)}):"
                    " see DATABRICKS_HOST, or the host of the profile"
                ) from error

    within(timeout_s, host, knock)
    return host


def workspace_host(uri: str, environment: Mapping[str, str]) -> str:
    """The address of a workspace by the environment or the SDK's profiles; empty if by neither."""
    named = uri.partition("databricks://")[2] or environment.get("DATABRICKS_CONFIG_PROFILE", "")
    host = "" if named else environment.get("DATABRICKS_HOST", "")
    if not host:
        # a profile has what stands in it, and nothing from one called DEFAULT
        profiles = configparser.ConfigParser(interpolation=None, default_section="")
        file = environment.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg"
        try:
            profiles.read(Path(file).expanduser(), encoding="utf-8")
            named = named or profiles.get(_SETTINGS, "default_profile", fallback="DEFAULT")
            host = profiles.get(named, "host", fallback="")
        except (configparser.Error, UnicodeDecodeError, RuntimeError):
            return ""  # the SDK says what is wrong with it
    return host if not host or "://" in host else f"https://{host}"
