from __future__ import annotations

import pytest

from mpcli.catalog.indexing import task_line
from mpcli.shell.candidates import Around, candidates
from mpcli.shell.world import World


def _line(name: str, *parameters: tuple[str, str, str | None], doc: str = "") -> bytes:
    fields = [
        {"name": word, "kind": "POSITIONAL_OR_KEYWORD", "annotation": kind, "default": default, "required": not default}
        for word, kind, default in parameters
    ]
    return task_line({"name": name, "doc": doc, "returns": "dict", "parameters": fields}).encode()


REGISTER, SEND, OPEN = "mplogin.sync.register", "mplogin.async.send_mail", "mpwallet.sync.open"
WORLD = World(
    {
        REGISTER: _line(REGISTER, ("user_obj", "dict", None), ("invite", "str", "''"), doc="Make a user.\nMore."),
        SEND: _line(SEND, ("email", "str", None)),
        OPEN: _line(OPEN, ("owner", "str", None)),
        "mpwallet.sync.list": _line("mpwallet.sync.list"),
    }
)


class Trap:
    """Whoever looks at it too closely is caught."""

    plain = 1

    @property
    def boom(self) -> object:
        raise AssertionError("a property was run")

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was asked for")

    def __getitem__(self, key: object) -> object:
        raise AssertionError("an item was asked for")


def greet(name: str, loud: bool = False) -> str:
    """Say hello."""
    return name


AROUND = Around(
    names={
        "user": {"id": 1, "address": {"city": "x", "zip": 1}},
        "rows": [{"a": 1}],
        "greet": greet,
        "trap": Trap(),
        "_": 1,
    },
    arguments={REGISTER: {"user_obj": {"email": "a", "password": "b"}}},
    results={REGISTER: {"user_id": 1}},
    commands=lambda words: [f"{name}\tit does" for name in ("tail", "queues") if name.startswith(words[-1])],
)


def _offered(text: str, after: str = "", asked: bool = False) -> list[str]:
    return [one.text for one in candidates(text, WORLD, AROUND, asked=asked, after=after)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("mplre", f"{REGISTER}("),
        ("reg", f"{REGISTER}("),
        ("mplo", "mplogin."),
        ("mplogin.", "mplogin.async."),
        ("mplogin.as", "mplogin.async."),
        ("mplogin.async.", f"{SEND}("),
        ("x = mplogin.async.se", f"{SEND}("),
        ("for row in mpwallet.sync.l", "mpwallet.sync.list()"),
        (f"{REGISTER}(", "user_obj="),
        (f"{REGISTER}(user_obj=x, ", "invite="),
        (f"{REGISTER}(x, ", "invite="),
        (f"{REGISTER}(inv", "invite="),
        (f"{SEND}(email={REGISTER}(", "user_obj="),
        ("greet(", "name="),
        ("greet('x', ", "loud="),
        ('user["', 'id"]'),
        ("user['ad", "address']"),
        ('user["address"]["c', 'city"]'),
        ('user.get("', 'id"'),
        ('rows[0]["', 'a"]'),
        (f'{REGISTER}(user_obj=x)["', 'user_id"]'),
        (f'{REGISTER}(user_obj={{"', 'email": '),
        (f'{REGISTER}({{"email": 1, "pa', 'password": '),
        ('user["address"].ke', "keys"),
        ("user.ite", "items"),
        ("trap.pl", "plain"),
        ("pri", "print"),
        ("usr", "user"),
        ("/ta", "tail"),
        ("/tail que", "queues"),
    ],
)
def test_the_first_thing_that_is_offered(text: str, first: str) -> None:
    assert _offered(text)[:1] == [first]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = ",
        "12",
        "# mplogin.",
        '"mplogin.',
        'f("""mplogin.',
        "trap.boom.",
        'trap["',
        f"{SEND}(email=",
        "nothing.",
    ],
)
def test_nothing_is_offered(text: str) -> None:
    assert _offered(text) == []


def test_on_an_empty_line_names_are_offered_when_they_are_asked_for() -> None:
    assert {"user", "mplogin.", "mpwallet."} <= set(_offered("", asked=True))


def test_what_stands_behind_the_cursor_is_not_doubled() -> None:
    assert _offered("mplre", after="(x)") == [REGISTER]
    assert _offered('user["i', after='"]') == ["id"]


def test_a_variable_goes_before_a_service_of_its_name() -> None:
    around = Around(names={"mplogin": {"a": 1}})
    assert [one.kind for one in candidates("mplogin.k", WORLD, around)] == ["attribute"]


def test_beside_a_task_stand_its_signature_and_the_first_line_of_its_doc() -> None:
    (one,) = candidates("mplre", WORLD, AROUND)
    assert one.about == "(user_obj: dict, invite: str = '') -> dict  Make a user."


def test_tasks_that_share_only_letters_do_not_stand_beside_better_ones_unless_they_are_in_use() -> None:
    assert _offered("open") == ["open", f"{OPEN}("] or _offered("open") == [f"{OPEN}(", "open"]
    world = World({name: _line(name) for name in ("mpone.sync.list", "mpl.sync.i_s_t")})
    assert "mpl.sync.i_s_t()" not in [one.text for one in candidates("list", world, Around())]
    used = Around(used={"mpl.sync.i_s_t": 1})
    assert "mpl.sync.i_s_t()" in [one.text for one in candidates("list", world, used)]


def test_files_in_strings(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    open("data.json", "w").close()
    assert _offered("open('da") == ["data.json"]
    assert _offered("x = './da") == ["./data.json"]
    assert _offered("x = 'da") == []
