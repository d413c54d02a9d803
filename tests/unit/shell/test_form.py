from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mpcli.catalog.indexing import task_line
from mpcli.shell.discretion import holds_secret
from mpcli.shell.form import form_at, read_field
from mpcli.shell.signature import signature_line
from mpcli.shell.usage import Usage, names_in
from mpcli.shell.world import Parameter, Task, World

LOGIN = "mplogin.sync.login"


def _parameter(name: str, annotation: str = "", default: str | None = None) -> Parameter:
    return Parameter(_fields(name, annotation, default))


def _fields(name: str, annotation: str, default: str | None) -> dict[str, object]:
    kind = "POSITIONAL_OR_KEYWORD"
    return {"name": name, "kind": kind, "annotation": annotation, "default": default, "required": default is None}


FIELDS = [_fields("email", "str", None), _fields("password", "str", None), _fields("device", "str", "'web'")]
WORLD = World({LOGIN: task_line({"name": LOGIN, "doc": "", "returns": "", "parameters": FIELDS}).encode()})


@pytest.mark.parametrize(
    ("annotation", "typed", "value"),
    [
        ("str", "it's", "it's"),
        ("str", "12", "12"),
        ("str", "''", ""),
        ("int", " 12 ", 12),
        ("float", "1.5", 1.5),
        ("bool", "yes", True),
        ("dict", '{"a": true}', {"a": True}),
        ("dict", "{'a': True}", {"a": True}),
        ("list[int]", "[1, 2]", [1, 2]),
        ("int | None", "null", None),
        ("date", "2030-01-31", "2030-01-31"),
        ("", "text", "text"),
        ("", "12", 12),
        ("models.User", "text", "text"),
    ],
)
def test_a_value_becomes_source_text(annotation: str, typed: str, value: object) -> None:
    source = read_field(_parameter("x", annotation), typed)
    assert source is not None
    assert ast.literal_eval(source) == value


@pytest.mark.parametrize(
    ("annotation", "typed"), [("int", "many"), ("bool", "perhaps"), ("dict", "[1]"), ("str", ""), ("int", "= 1 +")]
)
def test_a_value_that_does_not_fit_is_refused(annotation: str, typed: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its text is for people
        read_field(_parameter("x", annotation), typed)


def test_python_goes_in_as_it_stands_and_what_has_a_default_may_be_left_out() -> None:
    assert read_field(_parameter("x", "int"), '= u["id"] + 1') == 'u["id"] + 1'
    assert read_field(_parameter("x", "dict"), "=mplogin.async.send()") == "mplogin.async.send()"
    assert read_field(_parameter("x", "int", "3"), "  ") is None


@pytest.mark.parametrize(
    ("before", "after", "asked", "line"),
    [
        (LOGIN, "", ["email", "password", "device"], f"{LOGIN}(device=1)"),
        (f"x = {LOGIN}(", ")", ["email", "password", "device"], f"x = {LOGIN}(device=1)"),
        (f"{LOGIN}(email=e, pass", "", ["password", "device"], f"{LOGIN}(email=e, device=1)"),
        (f"{LOGIN}('a', password=", "", ["password", "device"], f"{LOGIN}('a', device=1)"),
        (f"print({LOGIN}(email=f(", ")))", ["email", "password", "device"], f"print({LOGIN}(device=1))))"),
    ],
)
def test_the_form_asks_for_what_is_missing_and_keeps_the_rest(
    before: str, after: str, asked: list[str], line: str
) -> None:
    form = form_at(before + after, len(before), WORLD)
    assert form is not None
    assert [one.name for one in form.fields] == asked
    assert form.filled({"device": "1"})[0].startswith(line.rstrip(")"))


def test_no_form_where_there_is_no_task() -> None:
    assert form_at("print(x", 7, WORLD) is None


@pytest.mark.parametrize(
    "line",
    [
        'x = {"token": "abc"}',
        f'{LOGIN}(email="a", password="b")',
        f'{LOGIN}("a", "b")',
        f"{LOGIN}('a,b', f(1, 2))",
        "url = 'amqp://me:pw@host//'",
        "/call mplogin.sync.login email=a password=b",
    ],
)
def test_lines_with_secrets(line: str) -> None:
    assert holds_secret(line, WORLD)


@pytest.mark.parametrize("line", ["1 + 1", f'{LOGIN}("a")', f"{LOGIN}?", "/tail mplogin", "for x in y:\n    f(x)"])
def test_lines_without(line: str) -> None:
    assert not holds_secret(line, WORLD)


def test_names_are_counted_and_what_is_in_strings_is_not(tmp_path: object) -> None:
    assert names_in("u = mplogin.async.send(email='secret.name', x=\"o'ther\")") == {
        "u", "mplogin.async.send", "email", "x",
    }  # fmt: skip
    file = f"{tmp_path}/used"
    for _ in range(2):
        Usage(file).note("mplogin.sync.login(x)")
    assert Usage(file).counts == {"mplogin.sync.login": 2, "x": 2}
    Path(file).write_text("[broken")
    assert Usage(file).counts == {}


@pytest.mark.parametrize("width", range(8, 120, 7))
@pytest.mark.parametrize("at", [0, 3, 5])
def test_the_signature_fits_and_shows_the_current_parameter(width: int, at: int) -> None:
    task = Task("mplogin.sync.login", [_parameter(f"name{number}", "dict") for number in range(6)], "dict", "")
    assert task.parameters is not None
    shown = signature_line(task, task.parameters[at], width)
    assert len("".join(text for _, text in shown)) <= width
    marked = "".join(text for style, text in shown if style.endswith("current"))
    assert width < 30 or marked == f"name{at}: dict"
