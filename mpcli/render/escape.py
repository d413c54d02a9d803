"""Text from a broker, a worker or a file, made safe for a terminal.

A task name, a header or an error text can hold escape sequences that move the cursor, rewrite the window title or
answer as if typed, and bidirectional marks that show text in another order than it is in (CVE-2021-42574).
"""

from __future__ import annotations

# C0 but tab and newline, DEL, C1, and the marks of Unicode that reorder (UAX 9, section 2), end lines, or are not seen
# at all, also the tags of plane 14, in which whole sentences can hide. U+200C and U+200D stay: words are written with
# them.
_CONTROLS = (
    [code for code in range(0x20) if code not in (0x09, 0x0A)]
    + list(range(0x7F, 0xA0))
    + [0x00AD, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF]
    + list(range(0x202A, 0x202F))
    + list(range(0x2060, 0x2070))
    + list(range(0xFFF9, 0xFFFC))
    + list(range(0xE0000, 0xE0080))
)


def _written(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_VISIBLE = {code: _written(code) for code in _CONTROLS}
_VISIBLE_LINE = {**_VISIBLE, 0x09: "\\t", 0x0A: "\\n"}


def escape(text: str) -> str:
    """The text with every terminal control written out as `\\x1b`; tabs and line ends stay."""
    return _encodable(text.translate(_VISIBLE))


def escape_line(text: str) -> str:
    """As `escape`, and on one line: tabs and line ends are written out too."""
    return _encodable(text.translate(_VISIBLE_LINE))


def _encodable(text: str) -> str:
    # Lone surrogates stand for bytes that were not UTF-8; no stream can encode them.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
