"""The client: what travels with a request, and where to, is decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Generator

import anthropic
import httpx2

from evalkit.adapters.claude.settings import ClaudeSettings

TIMEOUT_S = 120.0
"""Of silence. An answer that keeps coming may take as long as it takes."""

_CONNECT_S = 10.0
_ANTHROPIC_VERSION = "2026-10-21"
_GATEWAY_VERSION = "2023-06-01"
"""Gateways in front of Claude may know only the older version of the API."""

_TRAVELLING = {
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "user-agent",
}


def client_of(settings: ClaudeSettings) -> anthropic.Anthropic:
    """A client for one request: it sends one secret to one host, and repeats nothing by itself.

    Where the secret is renewed, that happens now, and what is raised by it is passed on.
    """
    return anthropic.Anthropic(
        auth_token="-",  # noqa: S106, keeps the library from looking for secrets; replaced below
        base_url=settings.base_url,
        max_retries=0,  # the library would wait as long as a server asks it to
        timeout=httpx2.Timeout(TIMEOUT_S, connect=_CONNECT_S),
        open_telemetry=False,  # sessions are traced by who leads them, into a place of their own
        http_client=anthropic.DefaultHttpxClient(
            auth=_Entry(settings, _secret(settings)),
            # a redirect would carry the secret to a host that nobody named
            follow_redirects=False,
        ),
    )


class _Entry(httpx2.Auth):
    """Lets requests in: sets the secret and drops whatever else the environment has added.

    The library reads further headers out of ``ANTHROPIC_CUSTOM_HEADERS``, secrets among them,
    which would go to any host.
    """

    def __init__(self, settings: ClaudeSettings, secret: dict[str, str]) -> None:
        version = _ANTHROPIC_VERSION if settings.at_anthropic else _GATEWAY_VERSION
        self._headers = {"anthropic-version": version, **secret}

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        for name in set(request.headers) - _TRAVELLING:
            del request.headers[name]
        request.headers.update(self._headers)
        yield request


def _secret(settings: ClaudeSettings) -> dict[str, str]:
    if settings.headers:
        return dict(settings.headers())
    return {"authorization": f"Bearer {settings.auth_token or settings.api_key}"}
