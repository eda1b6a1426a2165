"""What stands around a log's lines is taken off: compression, encodings, other programs' frames."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

import msgspec

MOST_UNPACKED = 1 << 30
"""Bytes of a compressed log that are read."""

LONGEST_UNPACKED = 1 << 26
"""Bytes of a line in a compressed log: a longer one ends the reading."""

_PACKED: dict[bytes, tuple[str, Callable[[], Any]]] = {
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(31)),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ": ("xz", lzma.LZMADecompressor),
}
_AT_ONCE = 1 << 16
_PEEKED = 100
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")  # of server-sent events
_WRAPPERS = ("log", "MESSAGE")  # Docker's own files, journald's export
_decode = msgspec.json.Decoder().decode

Note = Callable[[str], None]


def taken_out(lines: Iterable[bytes], note: Note) -> Iterator[bytes]:
    """A log's own lines, in UTF-8; ``note`` is told what stood around them."""
    own = _as_utf8(unpacked(lines, note))
    own, first = _peeked(own)
    if first.startswith(b"data:"):
        note("the log is a stream of server-sent events; their data is read")
        return _data(own)
    if key := _wrapper(first):
        note(f"each line of the log stands in the text {key!r} of another object")
        return _unwrapped(own, key)
    return own


def is_packed(begin: bytes) -> bool:
    """Whether a file that begins so is compressed in a form that is read."""
    return begin.startswith(tuple(_PACKED))


def unpacked(lines: Iterable[bytes], note: Note = lambda _: None) -> Iterator[bytes]:
    """The lines in compressed bytes, however these are cut; others as they are."""
    rest = iter(lines)
    first = next(rest, b"")
    found = next((form for magic, form in _PACKED.items() if first.startswith(magic)), None)
    if found is None:
        yield from chain([first], rest) if first else rest
        return
    note(f"the log is compressed with {found[0]}")
    pending, begun, done = list[bytes](), 0, 0  # pieces of a line, and where it begins
    try:
        for part in _inflated(chain([first], rest), found[1]):
            done += len(part)
            *whole, left = part.split(b"\n")
            for line in whole:
                yield b"".join([*pending, line, b"\n"])
                pending, begun = [], done - len(left)
            pending.append(left)
            if done > MOST_UNPACKED or done - begun > LONGEST_UNPACKED:
                note(f"it holds more than is read: the rest after {begun:,} bytes is left out")
                return
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        note("its compression is damaged or cut off: what stands before that is read")
    if any(pending):
        yield b"".join(pending)


def _inflated(chunks: Iterable[bytes], opened: Callable[[], Any]) -> Iterator[bytes]:
    """What compressed bytes hold, a little at a time; several archives may follow each other."""
    inflate = opened()
    for chunk in chunks:
        data = chunk
        while data:
            if inflate.eof:
                inflate = opened()
            yield inflate.decompress(data, _AT_ONCE)
            while not inflate.eof and not getattr(inflate, "needs_input", True):
                yield inflate.decompress(b"", _AT_ONCE)
            data = inflate.unused_data or getattr(inflate, "unconsumed_tail", b"")
    if not inflate.eof:
        raise EOFError


def _as_utf8(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Without a mark: a shell on Windows redirects output in UTF-16."""
    first = next(lines, b"")
    if first.startswith(_UTF_16_MARKS):
        text = b"".join([first, *lines]).decode("utf-16", "replace")
        yield from (line.encode("utf-8", "replace") for line in text.splitlines(keepends=True))
        return
    yield first.removeprefix(_BYTE_ORDER_MARK)
    yield from lines


def _peeked(lines: Iterator[bytes]) -> tuple[Iterator[bytes], bytes]:
    """The lines, and the first that is neither blank nor names what the next one is."""
    seen: list[bytes] = []
    for line in islice(lines, _PEEKED):
        seen.append(line)
        if line.strip() and not line.startswith(_FIELDS[1:]):
            break
    return chain(seen, lines), seen[-1].strip() if seen else b""


def _data(lines: Iterable[bytes]) -> Iterator[bytes]:
    """What server-sent events hold; a line that is none of theirs as it is."""
    for line in lines:
        if line.startswith(b"data:"):
            yield b"" if line[5:].strip() == b"[DONE]" else line[5:]
        else:
            yield b"\n" if line.startswith(_FIELDS) else line  # so that lines keep their numbers


def _wrapper(line: bytes) -> str:
    """The key under which an object that a logging driver made holds a line; empty for none."""
    value = _object(line)
    if value is None or "type" in value:
        return ""
    return next((key for key in _WRAPPERS if isinstance(value.get(key), str)), "")


def _unwrapped(lines: Iterable[bytes], key: str) -> Iterator[bytes]:
    """Docker cuts long lines in pieces, of which only the last has the line end."""
    pending: dict[Any, str] = defaultdict(str)
    for line in lines:
        value = _object(line)
        piece = value.get(key) if value is not None else None
        if value is None or not isinstance(piece, str):
            yield line
            continue
        stream = str(value.get("stream"))
        pending[stream] += piece
        if key != "log" or piece.endswith("\n"):
            yield pending.pop(stream).encode("utf-8", "replace")
    for rest in pending.values():
        yield rest.encode("utf-8", "replace")


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
