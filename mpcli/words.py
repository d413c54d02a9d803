"""Words and forms that output shares, whichever room it comes from."""

from __future__ import annotations

from datetime import UTC, datetime


def counted(number: int, one: str, many: str = "") -> str:
    """`1 message`, `2 messages`; `many` where a plural takes more than an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def iso(at: float) -> str:
    """Seconds since 1970 as text, UTC, to the microsecond: how every moment is written in JSON."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return str(at)


def rounded(fields: dict[str, object]) -> dict[str, object]:
    """With seconds to the microsecond, as JSON has them everywhere."""
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in fields.items()}
