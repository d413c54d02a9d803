"""Arguments against a signature: what Python's binding refuses is refused, what is only spelt as text is converted."""

import inspect
import json
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.catalog.annotations import read_annotation
from mpcli.catalog.check import ArgumentsRefused, check
from mpcli.catalog.fitting import Misfit, fit


def parameter(name, annotation=None, kind="POSITIONAL_OR_KEYWORD", default=None):
    required = default is None and not kind.startswith("VAR_")
    return {"name": name, "kind": kind, "annotation": annotation, "default": default, "required": required}


def parameters_of(function):
    return [
        {
            "name": one.name,
            "kind": one.kind.name,
            "annotation": None,
            "default": None if one.default is one.empty else repr(one.default),
            "required": one.default is one.empty and not one.kind.name.startswith("VAR_"),
        }
        for one in inspect.signature(function).parameters.values()
    ]


FUNCTIONS = [
    lambda: 0,
    lambda a: 0,
    lambda a, b=1: 0,
    lambda a, /, b: 0,
    lambda a, b=2, /: 0,
    lambda *a: 0,
    lambda a, *b, c, d=1: 0,
    lambda *, a: 0,
    lambda a, **b: 0,
    lambda a, /, **b: 0,
    lambda a, b=1, /, c=2, *d, e=3, **f: 0,
]


@given(
    st.sampled_from(FUNCTIONS),
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.sampled_from("abcdefx"), st.integers(), max_size=4),
)
def test_it_refuses_what_python_would_refuse(function, args, kwargs):
    # Called and not bound: `Signature.bind` of Python 3.11 refuses a `b` for `**f` beside an optional `b, /`.
    try:
        args, kwargs = check("t", parameters_of(function), args, kwargs)
    except ArgumentsRefused:
        with pytest.raises(TypeError):
            function(*args, **kwargs)
        return
    function(*args, **kwargs)  # where a positional-only parameter was given by its name, it has its place now


@pytest.mark.parametrize(
    ("annotation", "value", "made"),
    [
        ("int", "3", 3),
        ("int", " -3 ", -3),
        ("int", 3.0, 3),
        ("float", "2.5", 2.5),
        ("float", 3, 3),
        ("bool", "true", True),
        ("bool", "No", False),
        ("str", "true", "true"),
        ("bytes", "ä", "ä".encode()),
        ("date", "2030-01-31", date(2030, 1, 31)),
        ("datetime.datetime", "2030-01-31T12:00", datetime(2030, 1, 31, 12)),
        ("time", "12:30", time(12, 30)),
        ("Decimal", "1.50", Decimal("1.50")),
        ("Decimal", 1.5, Decimal("1.5")),
        ("uuid.UUID", "00000000-0000-0000-0000-000000000001", UUID(int=1)),
        ("dict", '{"a": 1}', {"a": 1}),
        ("list[int]", '["1", 2]', [1, 2]),
        ("dict[str, list[float]]", {"a": ["1.5"]}, {"a": [1.5]}),
        ("int | None", "3", 3),
        ("Optional[int]", None, None),
        ("int | None", "null", None),
        ("str | None", "null", "null"),
        ("typing.Union[int, str]", "3", "3"),
        ("int | Model", "3", "3"),
        ("Literal['a', 1]", "1", 1),
        ("'int'", "3", 3),
        ("Annotated[int, Gt(0)]", "3", 3),
        ("tuple[int, ...]", [1], [1]),
        ("set[int]", ["1"], [1]),
        # Not judged.
        ("Any", "x", "x"),
        ("Model", {"a": 1}, {"a": 1}),
        ("models.date", "x", "x"),
        ("Sequence[str]", "abc", "abc"),
        ("[[[", "x", "x"),
        ("Optional[()]", 1, 1),
        ("Literal[()]", 1, 1),
        ("datetime", {"__type__": "x", "__value__": "y"}, {"__type__": "x", "__value__": "y"}),
    ],
)  # fmt: skip
def test_what_fits_and_what_is_made_to(annotation, value, made):
    got = fit(value, annotation)
    assert (got, type(got)) == (made, type(made))


@pytest.mark.parametrize(
    ("annotation", "value", "why"),
    [
        ("int", "3.5", "is text that is no int"),
        ("int", 3.5, "is a float, not int"),
        ("int", True, "is a bool, not int"),
        ("int", "9" * 5000, "is text that is no int"),
        ("int", "٣", "is text that is no int"),
        ("float", "nan", "is text that is no float"),
        ("float", "1_0", "is text that is no float"),
        ("bool", "maybe", "is text that is no bool (true or false)"),
        ("bool", 1, "is an int, not bool (true or false)"),
        ("str", 3, "is an int, not text: it is given with = and not :="),
        ("str", None, "is null, not text"),
        ("date", "31.1.2030", "is text that is no date (2030-01-31)"),
        ("dict", "x", "is text that is no dict: JSON is given with :="),
        ("dict", "[]", "is text that is no dict: JSON is given with :="),
        ("list", {}, "is a dict, not a list"),
        ("Literal['a', 'b']", "c", "must be one of 'a', 'b'"),
        ("int | None", "x", "is text that is no int"),
        ("None", 1, "is an int, not null"),
        ("Decimal", "inf", "is text that is no Decimal"),
    ],
)
def test_what_does_not_fit(annotation, value, why):
    with pytest.raises(Misfit) as misfit:
        fit(value, annotation)
    assert misfit.value.why == why


def test_the_place_of_a_misfit_is_told_and_not_the_value():
    task = [parameter("orders", "list[dict[str, int]] | None"), parameter("password", "int", default="0")]
    with pytest.raises(ArgumentsRefused, match=r"orders\[1\]\['pieces'\] is text that is no int"):
        check("mpshop.sync.buy", task, [], {"orders": [{}, {"pieces": "many"}]})
    with pytest.raises(ArgumentsRefused) as refused:
        check("mpshop.sync.buy", task, [], {"orders": None, "password": "s3cret"})
    assert "s3cret" not in refused.value.message + refused.value.hint


def test_the_signature_and_the_nearest_name_are_shown():
    task = [parameter("email", "str"), parameter("age", "int", default="0")]
    with pytest.raises(ArgumentsRefused) as refused:
        check("mplogin.sync.register", task, [], {"emial": "a@b.c"}, "dict")
    assert refused.value.message == "mplogin.sync.register: there is no parameter 'emial'"
    assert refused.value.hint == (
        "did you mean email? mplogin.sync.register(email: str, age: int = 0) -> dict; --no-check sends it as it is"
    )


def test_a_default_of_none_takes_null_and_stars_are_judged_too():
    task = [parameter("a", "int", default="None"), parameter("rest", "int", "VAR_POSITIONAL")]
    task.append(parameter("more", "float", "VAR_KEYWORD"))
    assert check("t", task, [None, "2", "3"], {"x": "1.5"}) == ([None, 2, 3], {"x": 1.5})
    with pytest.raises(ArgumentsRefused, match="argument 2 is text that is no int"):
        check("t", task, [1, "x"], {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ANNOTATIONS = st.recursive(
    st.sampled_from(
        ["int", "str", "bool", "float", "None", "date", "datetime", "time", "Decimal", "UUID", "list", "dict", "X"]
    ),
    lambda inner: st.tuples(
        st.sampled_from(["list[{}]", "dict[str, {}]", "{} | {}", "Optional[{}]", "'{}'"]), inner, inner
    ).map(lambda made: made[0].format(*made[1:])),
    max_leaves=6,
)  # fmt: skip


@given(JSON, ANNOTATIONS)
def test_a_value_fits_or_is_a_misfit_and_what_was_made_of_it_fits(value, annotation):
    try:
        made = fit(value, annotation)
    except Misfit:
        return
    assert json.dumps(fit(made, annotation), default=str) == json.dumps(made, default=str)


@given(st.text(max_size=30) | st.text("[]|,'\" .abcUnionLiteralOptional(){}*", max_size=30))
def test_no_annotation_breaks_the_reader(text):
    read_annotation(text)
