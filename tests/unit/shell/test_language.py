"""The language: Python stays Python, to the letter, and a keyword may be the name of an attribute."""

from __future__ import annotations

import ast
import contextlib
import io
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.shell.language import Kind, cells, is_complete, kind, parse, question, rewrite

# Pieces that are put together at random: most of what comes out is no Python, some of it is unfinished.
PIECES = st.lists(
    st.sampled_from(
        (
            *(
                "mplogin.async.send_mail(1)",
                "mplogin . async",
                "x.class",
                "x().import",
                "x[0].is",
                "async def f():\n    ",
            ),
            *("await g()", "async with a as b:\n    ", "async for i in j:\n    ", "from . import async_", "x = 1."),
            *("...async", "'mplogin.async.x'", '"""a\n.async\n"""', "f'{a}.async'", "# mplogin.async.x", "r'\\'", "("),
            *(")", "[", "]", "\n", "\n    ", "'", '"""', "\\\n", ";", "=", ",", " ", "if x:", "pass", "\r\n", "\x0c"),
            *("f'{x.async.y:>{z.class}}'", 'rf"""{{a.is}} {\n  a\n  .is!r}"""', "f'{", "}", "{{", "!r", "F'"),
            *("lambda: x.async", "ünï.async", "'\u2028.async'", "\u2028"),
        )
    ),
    max_size=12,
).map("".join)


def python_files() -> list[Path]:
    return sorted(Path(ast.__file__).parent.glob("[a-m]*.py"))[:60]


@pytest.mark.parametrize("file", python_files(), ids=lambda file: file.name)
def test_what_is_python_is_not_touched(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    assert rewrite(source) == source


@given(PIECES)
def test_what_python_compiles_is_left_as_it_is(source: str) -> None:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return
    assert rewrite(source) == source


@given(PIECES)
def test_strings_comments_and_positions_stay(source: str) -> None:
    written = rewrite(source)
    assert len(written) == len(source)
    assert [i for i, sign in enumerate(written) if sign != source[i] and ord(sign) - 0xFEE0 != ord(source[i])] == []
    assert _untouchable(written) == _untouchable(source)


def _untouchable(source: str) -> list[tuple[str, tuple[int, int]]]:
    kept = []
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            kept.append(token)  # noqa: PERF402 - those before an error count
    whole = [token for token in kept if token.type in (tokenize.STRING, tokenize.COMMENT)]
    return [(token.string, token.start) for token in whole if token.string.lstrip("rR")[:1] not in ("f", "F")]


@given(st.sampled_from(["async", "class", "import", "is", "pass", "lambda"]), PIECES)
def test_the_tree_has_the_name_that_was_written(word: str, behind: str) -> None:
    node = parse(f"mplogin.{word}.send_mail").body[0].value
    assert (node.attr, node.value.attr, node.value.value.id) == ("send_mail", word, "mplogin")
    rewrite(f"mplogin.{word}.send_mail({behind}")  # whatever follows, it does not fail


def test_real_async_python_stays() -> None:
    source = "async def f():\n    async with a as b:\n        async for c in b:\n            await c\n"
    assert ast.dump(parse(source)) == ast.dump(ast.parse(source))


def test_a_call_with_async_is_what_it_would_be_with_another_word() -> None:
    source = "for u in [1]:\n    x = mplogin.async.send(u, note='mplogin.async.send')  # .async.\n"
    other = ast.dump(ast.parse(source.replace("mplogin.async.send(", "mplogin.other.send(")))
    assert ast.dump(parse(source)) == other.replace("attr='other'", "attr='async'")
    assert "mplogin.async.send(" in ast.unparse(parse(source))


def test_positions_are_those_of_what_was_typed() -> None:
    source = "x = [ä.async.f(1), ä.async.g(ü.class.h), 2]\ny"
    expected = ast.dump(ast.parse(source.replace("async", "asynk").replace("class", "klass")), include_attributes=True)
    assert ast.dump(parse(source), include_attributes=True) == expected.replace("asynk", "async").replace(
        "klass", "class"
    )


@pytest.mark.parametrize(
    "text",
    [
        "f'{mpa.async.x()}'",
        "f'é{{mpa.async.x}} {mpa . async.x(\"é\"):>{mpb.class.w}} {b!r}' + f'{mpa.async.y}'",
        'rf"""\nmpa.async.x {\n  mpa\n  .async.x(f\'{mpa.async.z}\')\n}"""',
    ],
)
def test_in_the_braces_of_an_f_string_a_keyword_is_a_name_as_well(text: str) -> None:
    expected = ast.unparse(ast.parse(text.replace("async", "asynk").replace("class", "klass")))
    # In the text of the string every keyword stands as it was.
    assert ast.unparse(parse(text)) == expected.replace("asynk", "async").replace("klass", "class")


def test_an_attribute_may_stand_on_the_next_line() -> None:
    assert ast.unparse(parse("(mplogin  # which\n   .async\n   . send(1))")) == "mplogin.async.send(1)"


def test_an_error_says_the_line_of_the_file() -> None:
    with pytest.raises(SyntaxError) as caught:
        parse("x = = 1", "some.py", 7)
    assert (caught.value.filename, caught.value.lineno) == ("some.py", 7)
    assert parse("\nx", "some.py", 7).body[0].lineno == 8


@pytest.mark.parametrize("text", ["\0", "x.in\0", "if x:\n  y.in\n\0", "  x.in\n \0"])
def test_a_null_byte_is_refused_as_python_does(text: str) -> None:
    assert rewrite(text) == text
    with pytest.raises((SyntaxError, ValueError)):
        parse(text)


COMPLETE = (
    *("1", "mplogin.async.send(1)", "x = = 1", "/tail mplogin", "mplogin.async.send?", "", "# so", ")", "'abc"),
    *("for x in y: f(x)\n", "for x in y:\n    f(x)\n", "def f():\n    return 1\n\n", "x = 1\ny = 2"),
    *("if x:\n  1\nelse:\n  2\n  ", "if x:\n  y.in\n\0"),
)
UNFINISHED = (
    *("f(", "mplogin.async.send(\n", "x = [1,", "for x in y:", "for x in y:\n    f(x)", "'''abc", "x = \\", "x = \\\n"),
    *("def f():", "if x:\n    1\nelse:", "@a", "with mplogin.async as b:", "{'a':", "async def f():\n    await g()"),
    *("f(x.async,", "if x:\n    f(1,\n", "x = '''a\nb", "try:\n  f()"),
)


@pytest.mark.parametrize("text", COMPLETE)
def test_enter_runs_what_is_complete(text: str) -> None:
    assert is_complete(text)


@pytest.mark.parametrize("text", UNFINISHED)
def test_enter_waits_for_the_rest(text: str) -> None:
    assert not is_complete(text)


@given(PIECES)
def test_no_text_breaks_the_prompt(text: str) -> None:
    assert is_complete(text) in (True, False)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("mplogin.sync.register?", ("mplogin.sync.register", False)),
        (" mplogin.async.send ??", ("mplogin.async.send", True)),
        ("?u", ("u", False)),
        ("x ? y", None),
        ("# why?", None),
        ("'why?'", None),
        ("f()?", None),
        ("?", None),
    ],
)
def test_questions(text: str, asked: tuple[str, bool] | None) -> None:
    assert question(text) == asked
    assert (kind(text) is Kind.QUESTION) == (asked is not None)


def test_a_file_is_cut_at_its_commands() -> None:
    text = '/timeout 3\nx = """\n/not a command\n"""\ny = (1\n/2)\nmplogin?\nfor a in b:\n    c\n/queues\n\n'
    assert [(cell.kind, cell.line, cell.text.strip()) for cell in cells(text)] == [
        (Kind.COMMAND, 1, "/timeout 3"),
        (Kind.PYTHON, 2, 'x = """\n/not a command\n"""\ny = (1\n/2)'),
        (Kind.QUESTION, 7, "mplogin?"),
        (Kind.PYTHON, 8, "for a in b:\n    c"),
        (Kind.COMMAND, 10, "/queues"),
    ]


@given(PIECES)
def test_cutting_loses_no_line(text: str) -> None:
    lines = text.split("\n")
    for cell in cells(text):
        assert lines[cell.line - 1 :][: len(cell.text.split("\n"))] == cell.text.split("\n")
        lines[cell.line - 1 : cell.line - 1 + len(cell.text.split("\n"))] = [""] * len(cell.text.split("\n"))
    assert not "".join(lines).strip()
