"""What a session was, as a script or a test."""

from __future__ import annotations

import ast
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcli.shell.export import Logged, export


def is_service(name: str) -> bool:
    return name.startswith("mp")


def script(*cells: Logged | str, as_test: bool = False) -> str:
    """What stands below the head."""
    log = [Logged(cell, None) if isinstance(cell, str) else cell for cell in cells]
    text = export(log, 10.0, is_service, as_test)
    for imported in ast.walk(ast.parse(text)):
        if isinstance(imported, ast.ImportFrom):
            module = import_module(str(imported.module))
            assert all(hasattr(module, alias.name) for alias in imported.names), text
    return text.partition("caller = caller_in(None)\n\n" if not as_test else "def test_session() -> None:\n")[2]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("mpa.sync.f()", 'caller.call("mpa.sync.f")'),
        ("mpa.sync.f (1, *a, b=2)  # so", 'caller.call ("mpa.sync.f", 1, *a, b=2)  # so'),
        ("x = mpa.sync.f(mpb.sync.g(1)['é'])", 'x = caller.call("mpa.sync.f", caller.call("mpb.sync.g", 1)[\'é\'])'),
        ("é = [mpa.async.f(i) for i in 'ü']", "é = [caller.send(\"mpa.async.f\", i) for i in 'ü']"),
        ("f = mpa.sync.f", 'f = partial(caller.call, "mpa.sync.f")'),
        ("x = 'mpa.sync.f(1)'  # mpa.async.f()", "x = 'mpa.sync.f(1)'  # mpa.async.f()"),
        ("h = mpa.async.f()\nprint(h.id)", 'h = caller.send("mpa.async.f")\nprint(h)'),
        ("mpa.sync.f.with_options(timeout=3)(1)", 'caller.with_options(timeout=3).call("mpa.sync.f", 1)'),
        (
            "h = mpa.async.f.with_options(\n    countdown=g(1),\n)()\nh.id",
            'h = caller.with_options(\n    countdown=g(1),\n).send("mpa.async.f")\nh',
        ),
        ("x.sync.f(1)", "x.sync.f(1)"),
        ("async def f():\n    return mpa.async.f()\n", 'async def f():\n    return caller.send("mpa.async.f")'),
    ],
)
def test_tasks_are_called_through_the_caller(cell: str, written: str) -> None:
    assert script(cell) == written + "\n"


def test_the_value_of_an_expression_is_printed() -> None:
    assert script(Logged("mpa.sync.f(\n    1,\n)  # so", None, value=3)) == (
        'print(caller.call("mpa.sync.f", \n    1,\n))  # so\n'
    )
    assert script(Logged("mpa.sync.f()", None, value=3), Logged("_ + 1", None, value=4)) == (
        'print(_ := (caller.call("mpa.sync.f")))\nprint(_ := (_ + 1))\n'
    )
    assert script("mpa.sync.f()\n_ + 1\ny = 2") == '_ = caller.call("mpa.sync.f")\n_ = _ + 1\ny = 2\n'


def test_what_cannot_stand_by_itself_is_left_in_as_a_comment() -> None:
    text = script(
        "x = 1",
        Logged("1 / 0", None, failed="raised ZeroDivisionError"),
        "h = mpa.async.f(1)",
        "h.wait(3)",
        "s = mpa.sync",
        "later = mpa.sync.f.with_options(timeout=3)",
    )
    assert text == (
        "x = 1\n# left out, raised ZeroDivisionError:\n#     1 / 0\n"
        'h = caller.send("mpa.async.f", 1)\n# left out, only the shell can wait for an async task:\n#     h.wait(3)\n'
        "# left out, it uses mpa without a task:\n#     s = mpa.sync\n"
        "# left out, it asks mpa.sync.f for its with_options:\n#     later = mpa.sync.f.with_options(timeout=3)\n"
    )
    assert "# left out, raised EmailTaken:" in script("x = 1", Logged("mpa.sync.f()", None, raised="EmailTaken"))


def test_another_context_is_another_caller() -> None:
    text = export(
        [Logged("x = 1", None), Logged("y = 2", "staging"), Logged("z = 3", "staging")], 30, is_service, False
    )
    assert text.endswith('caller = caller_in(None)\n\nx = 1\ncaller = caller_in("staging")\n\ny = 2\nz = 3\n')
    assert "timeout=30)" in text


def test_a_test_asserts_what_is_the_same_the_next_time() -> None:
    text = script(
        Logged("mpa.sync.f()", None, value={"id": "x", "name": 'a"b'}),
        Logged("mpa.sync.by_id()", None, value={"3f-9": 1}),
        Logged("mpa.sync.g()", None, value=[1]),
        Logged("mpa.sync.h()", None, value=True),
        Logged("mpa.sync.taken(1)", None, raised="EmailTaken"),
        Logged('text = """a\n  b"""', None),
        as_test=True,
    )
    assert text == (
        "    caller = caller_in(None)\n\n"
        '    result = caller.call("mpa.sync.f")\n    assert result.keys() == {"id", "name"}\n'
        '    result = caller.call("mpa.sync.by_id")\n    assert isinstance(result, dict)\n'
        '    result = caller.call("mpa.sync.g")\n    assert isinstance(result, list)\n'
        '    result = caller.call("mpa.sync.h")\n    assert result is True\n'
        '    with pytest.raises(RemoteError) as caught:\n        caller.call("mpa.sync.taken", 1)\n'
        '    assert caught.value.type_name == "EmailTaken"\n'
        '    text = """a\n  b"""\n'
    )
    assert "import pytest" in export([Logged("f()", None, raised="X")], 1, is_service, True)


def test_an_empty_session_is_a_test_that_passes() -> None:
    assert script(as_test=True) == "    pass\n"


PIECES = st.lists(
    st.sampled_from(
        (
            *(
                "mpa.sync.f(1)",
                "mpa.async.g",
                "mpa.sync",
                "_",
                "x",
                "= ",
                "(",
                ")",
                "\n",
                "h = mpa.async.f()",
                "h.wait()",
                *("mpa.sync.f.with_options(timeout=1)", "(1)", ".y", "mpa.async.f.with_options(eta=x)(1)"),
            ),
            *(
                ";",
                "if x:\n    ",
                "'''a\n",
                "# x\n",
                " + ",
                "[",
                "]",
                "print(",
                ", ",
                "\\\n",
                "é",
                "await ",
                "_.y",
                "\t",
            ),
        )
    ),
    max_size=8,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(PIECES, st.none() | st.just({"a": 1})), max_size=4), st.booleans())
def test_whatever_was_typed_what_is_written_is_python(cells: list[tuple[str, object]], as_test: bool) -> None:
    log = [Logged(text, None, value=value) for text, value in cells if _compiles(text)]
    log += [Logged(text, None, failed="SyntaxError") for text, _ in cells]
    ast.parse(export(log, 10, is_service, as_test))


def _compiles(text: str) -> bool:
    from mpcli.shell.language import parse

    try:
        parse(text)
    except (SyntaxError, ValueError):
        return False
    return True
