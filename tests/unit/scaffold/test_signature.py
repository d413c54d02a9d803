"""Signatures of stubs: read with `ast`, checked, written anew."""

import ast

import pytest

from mpcli.errors import InvalidName, UsageError
from mpcli.scaffold.signature import imports, parse_stub, parse_stubs


def parsed(text: str) -> str:
    return str(parse_stub(text, "mplogin"))


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("sync.register(user_obj: dict) -> dict", "sync.register(user_obj: dict) -> dict"),
        ("mplogin.sync.register(user_obj:dict)->dict", "sync.register(user_obj: dict) -> dict"),
        (" async.send_mail ( to : str ) ", "async.send_mail(to: str) -> None"),
        ("sync.now() -> datetime | None", "sync.now() -> datetime | None"),
        ("sync.f(a: int = -1, b: float = 1.5) -> None", "sync.f(a: int = -1, b: float = 1.5) -> None"),
        ("sync.f(a: str = 'x', b: bool = True) -> str", 'sync.f(a: str = "x", b: bool = True) -> str'),
        ("sync.f(a: str = 'it\"s') -> str", "sync.f(a: str = 'it\"s') -> str"),
        ("sync.f(a: list[dict[str, int | None]], /) -> Any", "sync.f(a: list[dict[str, int | None]], /) -> Any"),
        ("sync.f(a: int, *, b: UUID | None = None) -> int", "sync.f(a: int, *, b: UUID | None = None) -> int"),
        ("sync.f(a: float = 1) -> object", "sync.f(a: float = 1) -> object"),
    ],
)
def test_a_signature_is_read_and_written_anew(text: str, normal: str) -> None:
    assert parsed(text) == normal
    assert parsed(normal) == normal


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("register(user_obj: dict) -> dict", "begin with sync"),
        ("both.register(user_obj: dict) -> dict", "begin with sync"),
        ("mpother.sync.register() -> dict", "begin with sync"),
        ("", "begin with sync"),
        ("sync.register", "lacks its parameters"),
        ("sync.import(a: int) -> int", "a word of Python's own"),
        ("sync.f(a: int", "not a signature"),
        ("sync.f(a b) -> int", "not a signature"),
        ("sync.f() -> int: return 1\nimport os", "not a signature"),
        ("sync.f(): ...; import os; x", "more than a signature"),
        ("sync.f(): pass; y", "more than a signature"),
        ("sync.f(a) -> int", "'a' has no type"),
        ("sync.f(a: int)", "does not say what it returns"),
        ("sync.f(*a: int) -> int", "say nothing"),
        ("sync.f(**a: int) -> int", "say nothing"),
        ("sync.f(a: int, a: int) -> int", "given twice"),
        ("sync.f(größe: int) -> int", "plain letters"),
        ("sync.f(a: User) -> int", "'User' is not a type"),
        ("sync.f(a: os.PathLike) -> int", "'os.PathLike' is not a type"),
        ("sync.f(a: print()) -> int", r"'print\(\)' is not a type"),
        ("sync.f(a: 'dict') -> int", "is not a type"),
        ("sync.f(a: tuple[int, str]) -> int", "is not a type"),
        ("sync.f(a: dict[int, str]) -> int", "is not a type"),
        ("sync.f(a: int = print()) -> int", "not a literal"),
        ("sync.f(a: list = []) -> int", "cannot be a default"),
        ("sync.f(a: float = 1e999) -> int", "cannot be a default"),
        ("sync.f(a: bytes = b'x') -> int", "cannot be a default"),
        ("sync.f(a: str = None) -> int", "not of its type"),
        ("sync.f(a: int = True) -> int", "not of its type"),
        ("sync.f(a: int | None = 'x') -> int", "not of its type"),
        ("sync.f(a: " + "list[" * 400 + "int" + "]" * 400 + ") -> int", "too long"),
    ],
)
def test_what_is_no_signature_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        parsed(text)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["Register", "a-b", "1st", "_x"])
def test_a_name_outside_the_grammar_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        parsed(f"sync.{name}(a: int) -> int")


def test_hints_name_the_type_to_write_instead() -> None:
    with pytest.raises(UsageError) as caught:
        parsed("sync.f(a: Optional[int]) -> int")
    assert "X | None" in caught.value.hint


def test_duplicates_are_refused_in_one_mode_only() -> None:
    assert len(parse_stubs(["sync.f() -> int", "async.f()"], "mplogin")) == 2
    with pytest.raises(UsageError, match=r"sync\.f is given twice"):
        parse_stubs(["sync.f() -> int", "mplogin.sync.f(a: int) -> int"], "mplogin")


@pytest.mark.parametrize(
    "texts", [["sync.list() -> list"], ["sync.sync_app() -> int"], ["sync.str()->int", "sync.f(a: str)->int"]]
)
def test_a_task_does_not_hide_a_name_that_its_module_needs(texts: list[str]) -> None:
    with pytest.raises(InvalidName, match="its module needs that name"):
        parse_stubs(texts, "mplogin")


def test_a_long_definition_is_broken_as_the_formatter_breaks_it() -> None:
    one_line = parse_stub(f"sync.f({', '.join(f'parameter_{n}: int' for n in range(5))}) -> int", "mplogin")
    indented = parse_stub(f"sync.f({', '.join(f'parameter_{n}: int' for n in range(6))}) -> int", "mplogin")
    exploded = parse_stub(f"sync.f({', '.join(f'parameter_{n}: int' for n in range(9))}) -> int", "mplogin")

    assert one_line.definition().count("\n") == 0
    assert indented.definition().count("\n") == 2
    assert exploded.definition().count("\n") == 10
    for stub in (one_line, indented, exploded):
        assert all(len(line) <= 120 for line in stub.definition().splitlines())
        assert isinstance(ast.parse(f"{stub.definition()} ...").body[0], ast.FunctionDef)


def test_sample_arguments_have_a_value_for_each_required_parameter() -> None:
    stub = parse_stub(
        "sync.f(a: int, /, b: dict[str, int], c: str | None, d: int = 1, *, e: Decimal) -> int", "mplogin"
    )

    assert stub.sample_arguments() == '1, b={}, c="text", e=Decimal("1.50")'


def test_imports_are_those_of_the_types_in_use() -> None:
    stub = parse_stub("sync.f(a: datetime, b: date | None, c: UUID, d: Any) -> list[dict]", "mplogin")

    assert imports(stub.types) == [
        "from datetime import date, datetime",
        "from typing import Any",
        "from uuid import UUID",
    ]
