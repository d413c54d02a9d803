"""Opening a message's body for reading: decompressed within a bound, decoded only where decoding runs nobody's code.

JSON is read. A pickle is never loaded: its opcodes can be listed (`pickle_opcodes`). Everything else stays bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from mpcli.wire.properties import Properties

# A body larger than this is not opened for a view; a replay or a recording copies it whatever its size.
MAX_BODY = 16 * 1024 * 1024
# Lists and objects inside each other; whoever masks, compares or prints what is in them goes down as deep.
_MAX_DEPTH = 100

JSON_TYPES = frozenset({"application/json", "json"})
PICKLE_TYPES = frozenset({"application/x-python-serialize", "pickle", "application/x-pickle"})
# kombu's names for what it compresses (its `gzip` is zlib's format) and the ones of HTTP.
_ZLIB, _BZIP2, _LZMA = "zlib", "bzip2", "lzma"
_COMPRESSIONS = {
    "application/x-gzip": _ZLIB,
    "gzip": _ZLIB,
    "zlib": _ZLIB,
    "deflate": _ZLIB,
    "application/x-bz2": _BZIP2,
    "bzip2": _BZIP2,
    "bzip": _BZIP2,
    "application/x-lzma": _LZMA,
    "lzma": _LZMA,
    "xz": _LZMA,
}
_TOO_DEEP = f"JSON nested deeper than {_MAX_DEPTH}"
_PLAIN_ENCODINGS = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii", "binary", "identity"})


class Opaque(Exception):
    """Why a body is not decoded, in a few words for people."""


def compression_of(properties: Properties) -> str:
    """The name of the compression of the body, as the sender gave it; empty when there is none."""
    headers = properties.get("headers")
    named = headers.get("compression") if isinstance(headers, dict) else None
    if isinstance(named, str) and named:
        return named
    encoding = str(properties.get("content_encoding") or "").lower()
    return "" if encoding in _PLAIN_ENCODINGS or encoding not in _COMPRESSIONS else encoding


def opened(properties: Properties, body: bytes, limit: int = MAX_BODY) -> bytes:
    """The body without its compression, at most `limit` bytes of it. Raises `Opaque` with the reason."""
    name = compression_of(properties)
    if not name:
        if len(body) > limit:
            raise Opaque(f"{len(body)} bytes, too large to show")
        return body
    kind = _COMPRESSIONS.get(name)
    if kind is None:
        raise Opaque(f"compressed as {name}")
    try:
        data, more = _inflate(kind, body, limit)
    except Exception as error:  # three libraries, each with errors of its own
        raise Opaque(f"damaged {name} data") from error
    if more:
        raise Opaque(f"more than {limit} bytes when decompressed, too large to show")
    return data


def _inflate(kind: str, body: bytes, limit: int) -> tuple[bytes, bool]:
    """At most `limit` bytes, and whether there are more: a bomb costs no more than the limit."""
    if kind == _ZLIB:
        import zlib

        inflater = zlib.decompressobj(wbits=47)  # zlib's and gzip's headers both
        data = inflater.decompress(body, limit + 1)
        return data, len(data) > limit or not inflater.eof
    if kind == _BZIP2:
        import bz2

        bunzip = bz2.BZ2Decompressor()
        data = bunzip.decompress(body, limit + 1)
        return data, len(data) > limit or not bunzip.eof
    import lzma

    unlzma = lzma.LZMADecompressor(memlimit=256 * 1024 * 1024)
    data = unlzma.decompress(body, limit + 1)
    return data, len(data) > limit or not unlzma.eof


def closed(properties: Properties, data: bytes) -> bytes:
    """The body with the compression that the properties name, as kombu makes it. Raises `Opaque` for an unknown one."""
    name = compression_of(properties)
    kind = _COMPRESSIONS.get(name)
    if not name:
        return data
    if kind == _ZLIB:
        import zlib

        return zlib.compress(data)
    if kind == _BZIP2:
        import bz2

        return bz2.compress(data)
    if kind == _LZMA:
        import lzma

        return lzma.compress(data)
    raise Opaque(f"compressed as {name}")


def decoded(properties: Properties, body: bytes, limit: int = MAX_BODY) -> object:
    """The value of a JSON body. Raises `Opaque` with the reason for every other one."""
    content_type = str(properties.get("content_type") or "").partition(";")[0].strip().lower()
    data = opened(properties, body, limit)
    if content_type in PICKLE_TYPES:
        raise Opaque("pickle, never loaded")
    if content_type not in JSON_TYPES:
        raise Opaque(content_type or "no content type")
    try:
        value = json.loads(data)
    except ValueError as error:
        raise Opaque("damaged JSON") from error
    except RecursionError as error:
        raise Opaque(_TOO_DEEP) from error
    if _is_deep(value, data.count(b"[") + data.count(b"{")):
        raise Opaque(_TOO_DEEP)
    return value


def _is_deep(value: object, brackets: int) -> bool:
    """Whether a value, whose text has so many opening brackets, is nested too deeply; without any recursion."""
    if brackets <= _MAX_DEPTH:
        return False
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for one in level for inner in _parts(one) if isinstance(inner, (dict, list))]
        if not level:
            return False
    return True


def _parts(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


_read = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_unique).raw_decode


def json_parts(text: str) -> list[tuple[object, str]] | None:
    """The items of a JSON array, each with the text it was read from; None for what is no array, or hard to read.

    Hard are what is nested too deeply, NaN and Infinity, which are no JSON, a name that stands twice, because the text
    then holds more than the value, and white space in other places than an encoder puts it.
    """
    parts: list[tuple[object, str]] = []
    at, size = 1, len(text)
    if text[:1] != "[":
        return None
    try:
        while True:
            value, end = _read(text, at)
            parts.append((value, text[at:end]))
            separator = text[end : end + 2]
            if separator == "]":
                deep = _is_deep([value for value, _ in parts], text.count("[") + text.count("{"))
                return parts if end + 1 == size and not deep else None
            if separator[:1] != ",":
                return None
            at = end + 1 + (separator == ", ")
    except (ValueError, RecursionError):
        return None


def pickle_opcodes(data: bytes, limit: int = 200) -> list[str]:
    """What a pickle would do, one opcode a line, at most `limit`; nothing is executed.

    Source: the standard library's pickletools, which parses without a virtual machine.
    """
    import pickletools

    lines: list[str] = []
    try:
        for opcode, argument, position in pickletools.genops(data):
            if len(lines) >= limit:
                lines.append("... more")
                break
            shown = "" if argument is None else f" {_short(argument)}"
            lines.append(f"{position:5} {opcode.name}{shown}")
    except Exception as error:  # noqa: BLE001 - damaged on purpose, it can fail anywhere in the parser
        lines.append(f"... damaged: {type(error).__name__}")
    return lines


def _short(argument: object) -> str:
    if isinstance(argument, (str, bytes, bytearray)):
        argument = argument[:200]
    elif isinstance(argument, int) and argument.bit_length() > 1000:
        return f"an integer of {argument.bit_length()} bits"
    return repr(argument)
