"""Times as people type them: how long, and when."""

from __future__ import annotations

import re

from mpcli.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(ms|s|m|h|d|)", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds in `30s`, `500ms`, `5m`, `1h` or `90`. Raises `UsageError`."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise UsageError(f"{text!r} is not a time", "for example 30s, 500ms, 5m or 1h")
    return float(match[1]) * _UNITS[match[2]]


def parse_moment(text: str) -> datetime:
    """A moment of ISO 8601, in local time where it names no zone. Raises `UsageError`."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is not a moment", "for example 2030-01-31T12:00, in local time, or 2030-01-31T12:00+00:00"
        ) from None


def duration_or_moment(text: str) -> float | datetime:
    """Seconds from now, or a moment. Raises `UsageError`."""
    return parse_duration(text) if _DURATION.fullmatch(text.strip()) else parse_moment(text)


def parse_timing(countdown: str, eta: str, expires: str) -> dict[str, float | datetime]:
    """What was given of the options, as `Caller.with_options` names them. Raises `UsageError`."""
    timing: dict[str, float | datetime] = {}
    if countdown:
        timing["countdown"] = parse_duration(countdown)
    if eta:
        timing["eta"] = parse_moment(eta)
    if expires:
        timing["expires"] = duration_or_moment(expires)
    return timing
