"""The shell's language: Python, in which a task can be called as it is named, and a few lines that are not Python.

`mplogin.async.send_mail(...)` is no Python, because `async` is a keyword. A keyword behind the dot of an attribute is
never valid there, so it can be written in another way without touching anything that Python accepts: its first letter
is replaced by the full-width one. Python compares names after NFKC normalisation, keywords before it (Language
Reference, "Identifiers and keywords"), so the attribute is named `async` to the letter, and every column stays where it
was. Strings and comments are tokens of their own and stay as they are, but for what stands in the braces of f-strings.

Interface, all of it pure: `is_complete(text)` decides whether Enter runs what was typed; `kind(text)` tells a command
(`/tail mplogin`) and a question (`mplogin.sync.register?`) from Python; `cells(text)` cuts a file into those; `parse`
compiles.
"""

from __future__ import annotations

import ast
import codeop
import keyword
import re
import tokenize
import warnings
from collections.abc import Iterator
from enum import StrEnum
from io import StringIO

from mpcli.bus.naming import Mode

MODES = tuple(map(str, Mode))
_FULL_WIDTH = 0xFEE0  # from the letters of ASCII to those of the block "Halfwidth and Fullwidth Forms"
_KEYWORD = re.compile(rf"\b(?:{'|'.join(keyword.kwlist)})\b")
_QUESTION = re.compile(r"\s*(\?{0,2})\s*([^\W\d]\w*(?:\s*\.\s*[^\W\d]\w*)*)\s*(\?{0,2})\s*")
_F_STRING = re.compile(r"[rR]?[fF]")
_OPENING, _CLOSING = ("(", "[", "{"), (")", "]", "}")
_BLANK = (tokenize.NL, tokenize.COMMENT)
# Where a string ends that is in pieces, from Python 3.12 on.
_CLOSES = {getattr(tokenize, name) for name in ("FSTRING_END", "TSTRING_END") if hasattr(tokenize, name)}


class Kind(StrEnum):
    """What a cell is."""

    PYTHON = "python"
    COMMAND = "command"
    QUESTION = "question"


class Cell:
    """A piece that is run at once, and the number of its first line, from 1."""

    __slots__ = ("kind", "line", "text")

    def __init__(self, kind: Kind, text: str, line: int = 1) -> None:
        self.kind = kind
        self.text = text
        self.line = line

    def __repr__(self) -> str:
        return f"Cell({self.kind}, {self.text!r}, {self.line})"


def kind(text: str) -> Kind:
    """What `text` is. A line that begins with `/` is a command: no Python begins so."""
    if text.lstrip().startswith("/"):
        return Kind.COMMAND
    return Kind.QUESTION if question(text) else Kind.PYTHON


def question(text: str) -> tuple[str, bool] | None:
    """The dotted name that `name?` asks about, and whether it is `name??`, which asks for more; else None."""
    match = _QUESTION.fullmatch(text)
    if not match or not (match[1] or match[3]):
        return None
    return re.sub(r"\s", "", match[2]), len(match[1]) + len(match[3]) > 1


def rewrite(source: str) -> str:
    """The source as Python can parse it: equal to it in length, and the same where it was Python already."""
    return _rewritten(source, _places(source))


def _rewritten(source: str, places: list[tuple[int, int]]) -> str:
    lines = list(StringIO(source)) if places else [source]
    for row, column in places:
        line = lines[row - 1]
        lines[row - 1] = f"{line[:column]}{chr(ord(line[column]) + _FULL_WIDTH)}{line[column + 1 :]}"
    return "".join(lines)


def _places(source: str) -> list[tuple[int, int]]:
    """Rows and columns of what is rewritten."""
    # Most calls name no keyword at all: reading their tokens would be the longer half of compiling them.
    return list(_keywords_as_names(source)) if _KEYWORD.search(source) else []


def _keywords_as_names(source: str) -> Iterator[tuple[int, int]]:
    """Row and column of every keyword that stands behind the dot of an attribute."""
    before, dotted = False, False
    try:
        for token in _tokens(source):
            if token.type in _BLANK:
                continue
            is_keyword = token.type == tokenize.NAME and keyword.iskeyword(token.string)
            if dotted and is_keyword:
                yield token.start
            elif token.type == tokenize.STRING and _F_STRING.match(token.string):
                yield from _keywords_in_braces(token)
            dotted_now = token.type == tokenize.OP and token.string == "." and before
            before = (token.type == tokenize.NAME and (dotted or not is_keyword)) or _ends_value(token)
            dotted = dotted_now
    except (tokenize.TokenError, SyntaxError):
        return  # unfinished, or no Python: what stands before it counts


def _keywords_in_braces(token: tokenize.TokenInfo) -> Iterator[tuple[int, int]]:
    """The same for an f-string, which is one token until Python 3.12."""
    text, (first, begun) = token.string, token.start
    for begin, end in _fields(text):
        row = text.count("\n", 0, begin)
        column = begin - (text.rfind("\n", 0, begin) + 1) + (0 if row else begun)
        # In brackets, as what may go on over several lines.
        for line, at in _keywords_as_names(f"({text[begin:end]}"):
            yield first + row + line - 1, at + (column - 1 if line == 1 else 0)


def _fields(text: str) -> Iterator[tuple[int, int]]:
    """Where what stands in the braces of an f-string begins and ends, with the braces in it."""
    at, begin, depth = 0, 0, 0
    while at < len(text):
        if not depth and text[at : at + 2] in ("{{", "}}"):
            at += 1
        elif text[at] == "{":
            begin = begin if depth else at + 1
            depth += 1
        elif text[at] == "}" and depth:
            depth -= 1
            if not depth:
                yield begin, at
        at += 1


def _ends_value(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.STRING or token.type in _CLOSES or token.string in _CLOSING


def _tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    if "\0" in source:  # no Python has one, and where a block ends the tokenizer of 3.12 breaks at it: `SystemError`
        raise SyntaxError("source code string cannot contain null bytes")
    return tokenize.generate_tokens(StringIO(source).readline)


def parse(source: str, name: str = "<shell>", line: int = 1) -> ast.Module:
    """The syntax tree of a piece of Python whose first line is number `line`. Raises `SyntaxError`, `ValueError`."""
    places = _places(source)
    try:
        tree = ast.parse(_rewritten(source, places), name)
    except SyntaxError as error:
        error.lineno = (error.lineno or 1) + line - 1
        error.text = _line(source, error.lineno - line)
        raise
    if places:
        _as_typed(tree, source, places)
    return ast.increment_lineno(tree, line - 1) if line > 1 else tree


def _as_typed(tree: ast.Module, source: str, places: list[tuple[int, int]]) -> None:
    """Move the columns, which count bytes, to where they are in what was typed: its letters are shorter."""
    lines = list(StringIO(source))
    grown = len(chr(_FULL_WIDTH + ord("a")).encode()) - 1
    by_row: dict[int, list[int]] = {}
    for row, column in places:
        by_row.setdefault(row, []).append(len(lines[row - 1][:column].encode()) + grown * len(by_row.get(row, ())))
    for node in ast.walk(tree):
        for line, offset in (("lineno", "col_offset"), ("end_lineno", "end_col_offset")):
            if (at := getattr(node, offset, None)) is not None:
                before = sum(place < at for place in by_row.get(getattr(node, line), ()))
                setattr(node, offset, at - grown * before)


def _line(source: str, index: int) -> str | None:
    """A line as it was typed: the parser has seen the rewritten one."""
    lines = source.split("\n")
    return lines[index] if index < len(lines) else None


def task_named(node: ast.AST) -> str:
    """The task that an expression names in so many words, such as `mplogin.sync.register`; else empty."""
    if isinstance(node, ast.Attribute) and isinstance(mode := node.value, ast.Attribute) and mode.attr in MODES:
        return f"{mode.value.id}.{mode.attr}.{node.attr}" if isinstance(mode.value, ast.Name) else ""
    return ""


def is_complete(text: str) -> bool:
    """Whether what was typed can be run, be it right or wrong; False when more lines have to come.

    A block (`for`, `def`, `with` ...) is complete when an empty line follows it, as in Python's own prompt.
    """
    if kind(text) is not Kind.PYTHON:
        return True
    if is_open(text):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if codeop.compile_command(rewrite(text), symbol="exec") is None:
                return False
            body = ast.parse(rewrite(text)).body
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return True  # more lines cannot mend it; running it says what is wrong
    return not body or not hasattr(body[-1], "body") or not text.rpartition("\n")[2].strip()


def is_open(text: str) -> bool:
    """Whether the text ends inside of brackets, a string of several lines, or behind a backslash."""
    if re.search(r"\\\n?\Z", text):
        return True
    depth = 0
    try:
        for token in _tokens(text):
            if token.type == tokenize.OP:
                depth += (token.string in _OPENING) - (token.string in _CLOSING)
            if depth < 0:
                return False
    except tokenize.TokenError as error:
        return "EOF" in str(error) or "unterminated triple" in str(error)
    except SyntaxError:
        return False
    return False


def cells(text: str) -> Iterator[Cell]:
    """A file, cut into Python and the lines between it that are not: commands and questions in the first column."""
    piece: list[str] = []
    first = 1
    for number, line in enumerate(text.split("\n"), 1):
        special = _special(line)
        if special is None or (piece and is_open("\n".join(piece))):
            piece.append(line)
            continue
        if "".join(piece).strip():
            yield Cell(Kind.PYTHON, "\n".join(piece), first)
        yield Cell(special, line, number)
        piece, first = [], number + 1
    if "".join(piece).strip():
        yield Cell(Kind.PYTHON, "\n".join(piece), first)


def _special(line: str) -> Kind | None:
    found = kind(line) if line and not line[0].isspace() else Kind.PYTHON
    return None if found is Kind.PYTHON else found
