"""Which inputs are the same, or nearly: told by fingerprints, so that no two need be compared."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from evalkit.core.values import Json, canonical

READ = 6_000
"""Characters of JSON up to which inputs are compared by their words; longer ones have to be equal."""

SAID = 3
"""Words beside a number that make it a detail of what is said, and not all that is said."""

_WORD = re.compile(r"\w+")


def fingerprints(inputs: Json) -> tuple[bytes, bytes]:
    """Two fingerprints of inputs.

    Two inputs have the first in common where they differ in case, spaces and punctuation at most;
    the second also where the numbers and ids in them differ and enough words are the same.

    Args:
        inputs: What an agent was given, or the text of it.

    Returns:
        Both; names of fields do not count, for the inputs of one route have the same.
    """
    encoded = canonical(inputs)
    if len(encoded) > READ:
        print_ = _print(encoded)
        return print_, print_
    words = [word for text in _leaves(inputs) for word in _WORD.findall(text.casefold())]
    exact = " ".join(words)
    plain = ["#" if any(map(str.isdigit, word)) else word for word in words]
    if len(plain) - plain.count("#") < SAID:
        print_ = _print(exact or encoded)
        return print_, print_
    return _print(exact), _print(" ".join(plain))


def fingerprint(value: Json) -> bytes:
    """A fingerprint that equal values share."""
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
