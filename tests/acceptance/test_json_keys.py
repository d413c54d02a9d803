"""The keys that the reference describes are those that the commands print: none is missing there, and none here.

The embedded broker is enough: what is printed does not depend on who runs the broker.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
MAIL = "mplogin.async.send_welcome_email"
PARAMETER = "kind annotation default required"  # of a parameter, in the same sentence

pytestmark = pytest.mark.parametrize("shop", ["embedded"], indirect=True)


class Described(NamedTuple):
    """What `words` print, or the part of it at `path`, has the keys in the page between these two texts; `at_times` are
    keys that need not be there, `no_keys` what else stands in the same marks."""

    words: str
    page: str
    begin: str
    end: str
    path: tuple[str, ...] = ()
    at_times: str = ""
    no_keys: str = ""
    stdin: str = ""


TAIL = "`id`, `root_id`"
ROWS = [
    Described("queues", "queues.md", "## JSON", "What is not known", at_times="problem"),
    Described("context list --json", "contexts.md", "an array, each object with", ";"),
    Described("context show --json", "contexts.md", "an array, each object with", "too", no_keys="show"),
    Described("config --json", "configuration.md", "As JSON each has", "$", no_keys="default file environment flag"),
    Described("ps", "up.md", "As JSON: `platform`", ", each with"),
    Described("ps", "up.md", ", each with `name`, `role`", "What is not", ("processes",), no_keys="broker worker"),
    Described("tasks", "tasks.md", "As JSON a task has", "; `mp describe`", no_keys=PARAMETER),
    Described("tasks", "tasks.md", r"\(each with `name`, `kind`", r"\)", ("parameters",)),
    Described("describe mplogin.sync.register", "tasks.md", "As JSON a task has", "`origins` names", no_keys=PARAMETER),
    Described("dead", "dead.md", "A group has", "With"),
    Described("peek mplogin.dead", "tail.md", "Each line has", r"\| `outcome`",
              at_times="carries opaque argsrepr kwargsrepr", no_keys="message dead"),
    Described("record stat kept.jsonl --json", "record.md", " is one object: `messages`", "`diff`",
              no_keys="count broker task outcome"),
    Described("record stat kept.jsonl --json", "record.md", "each with", r"\)", ("tasks",)),
    Described("new service mpother --dry-run", "new.md", "## Output", "Exit code", no_keys="service platform"),
    Described("purge mplogin.async --yes --json", "purge.md", "As JSON:", "the file"),
    Described(f"call {MAIL} --wait --timeout 60 user_id=u email=a@b.c", "call.md", "that is an object with", ", the\n"),
    Described("call mplogin.sync.login --batch --no-check", "call.md", "`error.code`, `message`", "For an async",
              ("error",), at_times="kind", stdin='{"email": "a"}'),
]  # fmt: skip


@pytest.fixture(scope="module")
def letter(shop: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """A dead letter, and a recording of it."""
    assert shop("call", "--no-check", MAIL, "user_id=u1", "email=a@b.c", "password=hunter2").returncode == 0
    deadline = time.monotonic() + 60
    while not json.loads(shop("queues", "mplogin.dead").stdout)[0]["ready"]:
        assert time.monotonic() < deadline
    assert shop("peek", "mplogin.dead", "--save", "kept.jsonl").returncode == 0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.words.split(' --')[0]} {'.'.join(row.path)}".strip())
def test_the_keys_are_those_that_are_described(row: Described, shop, letter) -> None:
    done = shop(*row.words.split(), **({"stdin": row.stdin} if row.stdin else {}))
    printed = keys_at([json.loads(line) for line in done.stdout.splitlines()], row.path)
    assert printed, done.stderr
    found = re.search(f"{row.begin}.*?(?={row.end})", (REFERENCE / row.page).read_text(), re.DOTALL)
    assert found is not None, "the page was changed: so must be its row here"
    described = set(re.findall(r"`(?:error\.)?([a-z_]+)`", found[0])) - set(row.no_keys.split()) - {"null"}
    assert printed <= described
    assert described - printed <= set(row.at_times.split())
    for line in done.stdout.splitlines():
        json.loads(line, object_pairs_hook=lambda pairs: [has_its_form(*pair) for pair in pairs])


def keys_at(values: list[object], path: tuple[str, ...]) -> set[str]:
    """The keys of the objects there, in whatever lists they are."""
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    objects = [one for one in flat if isinstance(one, dict)]
    if path:
        return keys_at([one[path[0]] for one in objects if path[0] in one], path[1:])
    return {key for one in objects for key in one}


FORMS = (REFERENCE / "json.md").read_text()
MOMENTS, TIMES = (
    set(re.findall(r"`([a-z_]+)`", re.search(rf"\| {what} \((.*?)[;)]", FORMS)[1]))
    for what in ("a moment", "a time that something took")
)


def has_its_form(key: str, value: object) -> None:
    """Of a moment, and of a time that something took, wherever it is printed."""
    if key in MOMENTS and value is not None:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", str(value)), (key, value)
    if key in TIMES and value is not None:
        assert isinstance(value, int | float), (key, value)
        assert round(value, 6) == value
