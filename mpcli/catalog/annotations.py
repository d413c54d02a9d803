"""Annotations, as source text of somebody else's: read, and never evaluated.

On the path of a call: `ast` is imported only for what is more than names and `|`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast

# The modules whose names are known; `models.date` is some other `date`.
_HOMES = frozenset({"typing", "typing_extensions", "t", "builtins", "collections.abc", "abc"})
_HOMES |= {"datetime", "dt", "decimal", "uuid"}
# Not Sequence, Iterable and the like, which a text is too. A set of JSON is a list.
LISTS = frozenset({"list", "List", "MutableSequence", "set", "Set", "frozenset", "FrozenSet"})
DICTS = frozenset({"dict", "Dict", "Mapping", "MutableMapping"})
_SIMPLE = frozenset({"None", "NoneType", "str", "int", "float", "bool", "bytes"})
_SIMPLE |= {"date", "datetime", "time", "Decimal", "UUID"}
_LONGEST = 2000


class Type:
    """An annotation that was understood: its name, what stands in its brackets, and for `Literal` the values."""

    __slots__ = ("inner", "literals", "name")

    def __init__(self, name: str, inner: tuple[Type | None, ...] = (), literals: tuple[object, ...] = ()) -> None:
        self.name = name
        self.inner = inner
        self.literals = literals


def read_annotation(text: str) -> Type | None:
    """None for what is not understood."""
    words = [word.strip() for word in text.split("|")]
    if all(word.isidentifier() for word in words):
        return _union([_named(word) for word in words])
    if len(text) > _LONGEST:
        return None
    import ast

    try:
        return _read(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _union(members: list[Type | None]) -> Type | None:
    if len(members) == 1:
        return members[0]
    return Type("|", tuple(members))


def _named(name: str) -> Type | None:
    home, _, word = name.rpartition(".")
    known = word in _SIMPLE or word in LISTS or word in DICTS
    if not known or (home and home not in _HOMES):
        return None
    return Type("None" if word == "NoneType" else word)


def _read(node: ast.expr) -> Type | None:
    import ast

    match node:
        case ast.Constant(value=None):
            return Type("None")
        case ast.Constant(value=str(text)):
            return read_annotation(text)  # an annotation in quotes
        case ast.Name() | ast.Attribute():
            return _named(ast.unparse(node))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([_read(left), _read(right)])
        case ast.Subscript(value=ast.Name() | ast.Attribute() as outer, slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return _generic(ast.unparse(outer), parts)
    return None


def _generic(outer: str, parts: list[ast.expr]) -> Type | None:
    import ast

    home, _, word = outer.rpartition(".")
    if not parts or (home and home not in _HOMES):
        word = ""
    match word:
        case "Optional":
            return _union([_read(parts[0]), Type("None")])
        case "Union":
            return _union([_read(part) for part in parts])
        case "Annotated" | "Final" | "Required" | "NotRequired":
            return _read(parts[0])
        case "tuple" | "Tuple":
            return Type("list")  # which it is in JSON; what stands where in it is the task's business
        case "Literal" if all(isinstance(part, ast.Constant) for part in parts):
            return Type("Literal", literals=tuple(getattr(part, "value", None) for part in parts))
    return Type(word, tuple(_read(part) for part in parts)) if word in LISTS or word in DICTS else None
