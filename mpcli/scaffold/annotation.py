"""The types that a stub's signature may use: those that arrive as they were sent, in JSON as Celery writes it."""

from __future__ import annotations

import ast

from mpcli.errors import UsageError

# Name -> the module to import it from. Celery's JSON keeps dates, decimals, UUIDs and bytes.
SIMPLE = {
    "Any": "typing",
    "Decimal": "decimal",
    "UUID": "uuid",
    "bool": "",
    "bytes": "",
    "date": "datetime",
    "datetime": "datetime",
    "dict": "",
    "float": "",
    "int": "",
    "list": "",
    "object": "",
    "str": "",
    "time": "datetime",
}
_INSTEAD = {
    "Dict": "dict",
    "List": "list",
    "Mapping": "dict",
    "Optional": "X | None",
    "Sequence": "list",
    "Union": "X | Y",
    "frozenset": "list",
    "set": "list",
    "tuple": "list",
}
_SAMPLES = {"Any": "None", "bool": "True", "bytes": 'b"bytes"', "dict": "{}", "float": "1.5", "int": "1", "list": "[]"}
_SAMPLES |= {"object": "None", "str": '"text"', "Decimal": 'Decimal("1.50")', "UUID": "UUID(int=1)"}
_SAMPLES |= {"date": "date(2030, 1, 2)", "datetime": "datetime(2030, 1, 2, 3, 4)", "time": "time(3, 4)"}
_LITERALS: dict[str, type | tuple[type, ...]] = {"bool": bool, "float": (int, float), "int": int, "str": str}


def render_type(node: ast.expr, where: str) -> str:
    """The annotation as source text, written anew from its parts. Raises `UsageError` for any other type."""
    match node:
        case ast.Constant(value=None):
            return "None"
        case ast.Name(id=name) if name in SIMPLE:
            return name
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return f"{render_type(left, where)} | {render_type(right, where)}"
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return f"list[{render_type(item, where)}]"
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[ast.Name(id="str"), value])):
            return f"dict[str, {render_type(value, where)}]"
    raise _refusal(node, where)


def names_in(annotation: str) -> set[str]:
    """The type names that an annotation uses."""
    return {node.id for node in ast.walk(ast.parse(annotation)) if isinstance(node, ast.Name)}


def sample(annotation: str) -> str:
    """Source text of a value of the type, for a test to pass."""
    first = annotation.split(" | ", maxsplit=1)[0].split("[", maxsplit=1)[0]
    return _SAMPLES.get(first, "None")


def accepts(annotation: str, value: object) -> bool:
    """Whether a literal default fits its annotation."""
    names = [name.strip() for name in annotation.split("|")]
    if "Any" in names or "object" in names:
        return True
    if value is None:
        return "None" in names
    if isinstance(value, bool):
        return "bool" in names
    return any(isinstance(value, _LITERALS[name]) for name in names if name in _LITERALS)


def _refusal(node: ast.expr, where: str) -> UsageError:
    text = ast.unparse(node)
    outer = ast.unparse(node.value) if isinstance(node, ast.Subscript) else text
    if outer in _INSTEAD:
        hint = f"JSON has no {outer}: write {_INSTEAD[outer]}"
    elif outer == "dict":
        hint = "the keys of a JSON object are text: dict or dict[str, ...]"
    else:
        hint = f"arguments travel as JSON; one of {', '.join(SIMPLE)}, list[...], dict[str, ...], X | None"
    return UsageError(f"{where}: {text!r} is not a type that a message can carry", hint)
