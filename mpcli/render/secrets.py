"""Masking what is secret by its name, wherever it is shown: on a screen or in JSON, never in a recording."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

HIDDEN = "***"

_WORDS = r"password|passwd|passphrase|pwd|secret|token|authorization|api_?key|private_?key|access_?key|credential"
_NAME = re.compile(_WORDS, re.IGNORECASE)
# name='value', "name": "value", name=value: as they stand in a repr, in JSON, in an error text.
_IN_TEXT = re.compile(
    rf"""(["']?[\w-]*(?:{_WORDS})[\w-]*["']?\s*[:=]\s*)('(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|(?:bearer\s+|basic\s+)?[^\s,;)}}\]'"&]+)""",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"(://[^:/@\s]*):[^@/\s]+@")


def is_secret(name: str) -> bool:
    """Whether what goes by this name is not for eyes."""
    return _NAME.search(name) is not None


def masked(value: object) -> object:
    """The value with everything under a secret name hidden, at every depth; passwords in URLs too."""
    if isinstance(value, str):
        return _IN_URL.sub(rf"\1:{HIDDEN}@", value) if "://" in value else value
    if isinstance(value, dict):
        return {
            key: HIDDEN if isinstance(key, str) and is_secret(key) and inner is not None else masked(inner)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        hidden = [masked(inner) for inner in value]
        return tuple(hidden) if type(value) is tuple else hidden
    return value


def harmless(value: object) -> bool:
    """Whether `masked` would leave the value as it is; to look costs less than to copy."""
    if isinstance(value, str):
        return "://" not in value
    if isinstance(value, dict):
        for key, inner in value.items():
            if _is_secret_key(key) or not (inner is None or harmless(inner)):
                return False
    elif isinstance(value, (list, tuple)):
        for inner in value:
            if not harmless(inner):
                return False
    return True


@lru_cache(4096)
def _is_secret_key(key: object) -> bool:
    return isinstance(key, str) and is_secret(key)


def masked_args(args: Sequence[object], parameters: Sequence[str]) -> list[object]:
    """Positional arguments, those hidden whose parameter has a secret name; `parameters` may be unknown, and empty."""
    return [
        HIDDEN if index < len(parameters) and is_secret(parameters[index]) else masked(value)
        for index, value in enumerate(args)
    ]


def masked_text(text: str) -> str:
    """A text, such as a repr or an error, in which values behind secret names are hidden."""
    if "://" in text:
        text = _IN_URL.sub(rf"\1:{HIDDEN}@", text)
    return _IN_TEXT.sub(rf"\1{HIDDEN}", text) if _NAME.search(text) else text
