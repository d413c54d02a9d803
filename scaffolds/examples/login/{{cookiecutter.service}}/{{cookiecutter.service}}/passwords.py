"""Password hashes: scrypt, with a salt of its own for each."""

from __future__ import annotations

import hashlib
import hmac
import secrets

# 16 MiB of memory, five times over: one of the settings of OWASP's password storage cheat sheet.
_N, _R, _P = 2**14, 8, 5
_NOBODY = f"{'00' * 16}${'00' * 64}"


def hashed(password: str) -> str:
    """Salt and hash, as text to store."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${_scrypt(password, salt).hex()}"


def matches(password: str, stored: str | None) -> bool:
    """Whether this is the password. With nothing stored it takes as long, and is False."""
    salt, _, expected = (stored or _NOBODY).partition("$")
    same = hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)), bytes.fromhex(expected))
    return same and stored is not None


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P)
