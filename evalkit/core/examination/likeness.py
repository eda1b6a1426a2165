"""Which inputs are the same, or nearly: told by fingerprints, so that no two need be compared."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from evalkit.core.values import Json, canonical

READ = 6_000
"""Characters up to which inputs are compared by their words; longer ones have to be equal."""

SAID = 3
"""Words beside a number that make it a detail of what is said, and not all that is said."""

_WORD = re.compile(r"\w+")
_NUMBERED = re.compile(r"\w*\d\w*")


def fingerprints(inputs: Json) -> tuple[bytes, bytes]:
    """Two fingerprints of inputs.

    Two inputs have the first in common where they differ in case, spaces and punctuation at most;
    the second also where the numbers and ids in them differ and enough words are the same.

    Args:
        inputs: What an agent was given, or the text of it.

    Returns:
        Both; names of fields do not count, for the inputs of one route have the same.
    """
    leaves = list(_leaves(inputs))
    if sum(map(len, leaves)) > READ:
        whole = fingerprint(inputs)
        return whole, whole
    words = _WORD.findall(" ".join(leaves).casefold())
    exact = " ".join(words)
    plain, numbers = _NUMBERED.subn("#", exact)
    if len(words) - numbers < SAID:
        only = _print(exact) if words else fingerprint(inputs)
        return only, only
    return _print(exact), _print(plain)


def fingerprint(value: Json) -> bytes:
    """A fingerprint that equal values share, and others do not."""
    return _print(canonical(value))


def _print(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).digest()


def _leaves(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif value is not None:
        yield str(value)
