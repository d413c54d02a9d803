"""No control that a terminal acts on survives."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from mpcli.render.escape import escape, escape_line


@given(st.text())
def test_nothing_that_a_terminal_acts_on_survives(text: str) -> None:
    for character in escape(text):
        assert character in "\t\n" or unicodedata.category(character) not in ("Cc", "Cs"), ascii(character)
        assert unicodedata.bidirectional(character) not in (
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )


@given(st.text())
def test_a_line_stays_one_line(text: str) -> None:
    assert len(escape_line(text).splitlines()) <= 1


def test_what_is_harmless_is_left_alone() -> None:
    assert escape("größe: 3 €, 日本語\n\tx") == "größe: 3 €, 日本語\n\tx"


def test_controls_are_shown_as_they_would_be_written() -> None:
    assert escape("\x1b]0;pwned\x07\x9b1m\u202eabc") == "\\x1b]0;pwned\\x07\\x9b1m\\u202eabc"


def test_bytes_that_were_not_utf8_can_be_printed() -> None:
    escape(b"\xff\xfe".decode("utf-8", "surrogateescape")).encode()
