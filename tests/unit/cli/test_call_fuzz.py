"""Whatever is typed as a call, and whatever comes back: a result or two lines on stderr, and never a traceback."""

from __future__ import annotations

import contextlib
import io
import json
import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mpcli.bus.naming import Mode, TaskName
from mpcli.cli.entry import main
from mpcli.errors import ExitCode, MpError
from mpcli.render.call import show_outcome
from mpcli.render.console import print_error
from mpcli.verbs.call import Outcome
from mpcli.wire.celery_message import Pending, read_reply

TASKS = '''
from apps import sync_app, async_app

@sync_app.task
def buy(pieces: int, price: float = 1.0, *, when: "date | None" = None, more: dict[str, list[bool]] = {}):
    """Buy."""

@async_app.task
def send(to: str, /, *rest: int, **named: "Literal['a', 1]"):
    """Send."""
'''


@pytest.fixture(scope="module", autouse=True)
def platform(tmp_path_factory):
    """A platform whose brokers are not there: nothing is sent, and all of the way to it is walked."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "mp.toml").write_text("")
    (folder / "mpshop").mkdir()
    (folder / "mpshop" / "pyproject.toml").write_text(
        '[tool.mpcli]\nservice = "mpshop"\nsync = "apps:sync_app"\nasync = "apps:async_app"\n'
    )
    (folder / "mpshop" / "tasks.py").write_text(TASKS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MP_SYNC_URL", "amqp://127.0.0.1:1")
        patch.setenv("MP_ASYNC_URL", "amqp://127.0.0.1:1")
        yield


def run(words):
    """The exit code and stderr of `mp call` with these words."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["call", *words])
    assert code in set(ExitCode)
    assert code != ExitCode.UNEXPECTED, err.getvalue()
    assert "Traceback" not in err.getvalue()
    return code, err.getvalue()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["mpshop.sync.buy", "mpshop.async.send", "mpshop.sync.by", "mpother.sync.x"])
KEYS = st.sampled_from(["pieces", "price", "when", "more", "to", "rest", "x", "a\\=b", ""]) | st.text(max_size=3)
ITEMS = st.builds(
    "{}{}{}".format,
    KEYS,
    st.sampled_from(["=", ":=", "=@", ":=@", ""]),
    st.text('0123456789abc{}[]",:\\ .-\x1b', max_size=8) | JSON.map(json.dumps) | st.text(max_size=4),
)
OPTIONS = st.sampled_from(
    ["--json", "--no-check", "--trace", "--timeout=0.2", "--countdown=1", "--countdown=x", "--expires=1d",
     "--eta=2030-01-01", "--eta=0001-01-01", "--as-code=python", "--as-code=pytest", "--as-code=curl", "--args=[1]",
     "--kwargs={}", "--nope", "--context=none"]
)  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(NAMES | st.text(max_size=12), st.lists(ITEMS, min_size=1, max_size=3), st.lists(OPTIONS, max_size=2))
@example("mpshop.sync.buy", ["pieces=1", "when=9999-12-31T00:00"], ["--as-code=curl"])
@example("mpshop.async.send", ["to=\ud800"], [])
def test_no_words_end_in_a_traceback(name, items, options):
    # An argument of a process holds no NUL; files other than those of the test are left alone.
    words = [word.replace("\0", "") for word in (name, *items) if "@/" not in word and "@~" not in word]
    code, err = run([*words, *options])
    assert code == ExitCode.OK or err


@settings(deadline=None, max_examples=100)
@given(JSON, JSON)
def test_no_json_ends_in_a_traceback(args, kwargs):
    run(["mpshop.sync.buy", "--args", json.dumps(args), "--kwargs", json.dumps(kwargs)])


STATUS = st.sampled_from(["SUCCESS", "FAILURE", "REVOKED", "STARTED", "X"]) | JSON
MARKED = st.builds(
    lambda kind, value: {"__type__": kind, "__value__": value}, st.sampled_from(["date", "uuid"]) | JSON, JSON
)
FAILURES = st.builds(
    lambda kind, message: {"exc_type": kind, "exc_message": message, "exc_module": "m"},
    st.sampled_from(["KeyError", "NotRegistered", "UnpickleableExceptionWrapper", "EncodeError"]) | JSON,
    JSON,
)
BODIES = st.builds(
    lambda status, result, traceback: json.dumps({"status": status, "result": result, "traceback": traceback}).encode(),
    STATUS,
    JSON | FAILURES | MARKED,
    st.none() | st.text(max_size=20),
)


@settings(deadline=None, max_examples=300)
@given(BODIES | JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30), st.booleans())
@example(b'{"status": "SUCCESS", "result": "\\ud800"}', False)
def test_no_reply_ends_in_a_traceback(body, as_json):
    name = TaskName.parse("mpshop.sync.buy")
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            value = read_reply(name, "1", {"correlation_id": "1", "content_type": "application/json"}, body)
        except Pending:
            return
        except MpError as error:
            print_error(error)
            return
        show_outcome(Outcome(Mode.SYNC, value=value), as_json)
    json.loads(out.getvalue())
    assert out.getvalue().isascii()
    assert os.linesep not in out.getvalue()[:-1]
