"""Times as people type them."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.cli.moments import duration_or_moment, parse_duration, parse_moment, parse_timing
from mpcli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("30s", 30), ("500ms", 0.5), ("1.5m", 90), ("1h", 3600), ("1d", 86400)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "-5", "5 minutes", "x", "1e3", "\u0663s", "9" * 400])
def test_what_is_no_duration(text):
    with pytest.raises(UsageError, match="is not a time"):
        parse_duration(text)


def test_moments_are_local_where_they_name_no_zone():
    assert parse_moment("2030-01-31T12:00+02:00") == datetime(2030, 1, 31, 10, tzinfo=UTC)
    assert parse_moment("2030-01-31T12:00") == datetime(2030, 1, 31, 12).astimezone()
    assert parse_timing("", "", "") == {}
    assert parse_timing("5m", "", "2030-01-31") == {"countdown": 300.0, "expires": datetime(2030, 1, 31).astimezone()}
    assert duration_or_moment("10") == timedelta(seconds=10).total_seconds()


@given(st.text(max_size=20) | st.text("0123456789-:T+.smhd ", max_size=25))
def test_no_text_breaks_them(text):
    with suppress(UsageError):
        duration_or_moment(text)
    with suppress(UsageError):
        parse_moment(text)
