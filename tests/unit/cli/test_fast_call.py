"""The quick parser and typer's must understand the same words in the same way."""

import subprocess
import sys

import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpcli.cli import call as call_module
from mpcli.cli.arguments import build_request
from mpcli.cli.fast_call import parse
from mpcli.errors import MpError

WORDS = st.sampled_from(
    [
        "mplogin.sync.register",
        "a=1",
        "b:=2",
        "c=--json",
        "",
        "x",
        "-5",
        "--json",
        "--timeout",
        "--timeout=2.5",
        "3",
        "0",
        "1e3",
        "nan",
        "--args",
        "[1]",
        "--args=[2]",
        "--kwargs",
        '{"k": 1}',
        "--kwargs={}",
        "--no-check",
        "--wait",
        "--trace",
        "--countdown",
        "--countdown=5m",
        "--eta=2030-01-31",
        "--expires",
        "--as-code",
        "--as-code=curl",
        "python",
        "--nope",
        "-h",
        "--help",
        "--",
        "--args=",
        "--json=1",
        "a\\=b=c",
        "٣",
    ]
)


def by_typer(words: list[str]) -> object:
    """What typer makes of the words: the request, or the kind of error."""
    seen: list[object] = []
    app = typer.Typer(add_completion=False)
    call_module.register(app)
    try:
        typer.main.get_command(app).main(args=words, prog_name="call", standalone_mode=False)
    except MpError as error:
        seen.append((type(error), error.message))
    except Exception as error:  # noqa: BLE001 - typer's own usage errors, which have no stable home
        seen.append(type(error))
    return seen[0] if seen else None


def request_of(words):
    try:
        return build_request(*words)
    except MpError as error:
        return type(error), error.message


@settings(deadline=None, max_examples=200)
@given(st.lists(WORDS, max_size=6))
@example(["mplogin.sync.register", "a=1", "--timeout", "3", "--json"])
@example(["--args", "[1]", "mplogin.sync.register"])
@example(["mplogin.sync.register", "--timeout", "\u0663"])
@example(["", "x", "mplogin.sync.register"])
def test_both_parsers_agree(words):
    quick = parse(words)
    if quick is None or not (quick[1] or quick[2] is not None or quick[3] is not None):
        return  # handed over; or stdin would be looked at
    import mpcli.cli.fast_call as fast

    built: list[object] = []
    original = fast.run_request
    fast.run_request = lambda request: built.append(request) or 0  # the end of both roads: what would be sent
    try:
        error = by_typer(words)
    finally:
        fast.run_request = original
    assert (built[0] if built else error) == request_of(quick)


@given(st.lists(st.text(max_size=6), max_size=5))
def test_no_words_break_the_quick_parser(words):
    parse(words)


def test_what_is_odd_is_handed_over():
    for words in ([], ["--help"], ["t", "-h"], ["t", "--timeout"], ["t", "--timeout", "x"], ["t", "--", "a=1"], ["-"]):
        assert parse(words) is None


def test_the_hot_path_leaves_the_heavy_ones_out():
    code = (
        "import sys; from mpcli.cli.entry import main; code = main(['call', 'mplogin.sync.x', 'a=1']); "
        "heavy = {'typer', 'rich', 'pydantic', 'celery', 'kombu', 'logging', 'ssl', 'tomllib', 'dataclasses', "
        "'asyncio', 'typing', 'uuid', 'inspect', 'pathlib', 'importlib.metadata', 'click'}; "
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"MP_SYNC_URL": "amqp://127.0.0.1:1", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True, check=True, cwd="/",
    )  # fmt: skip
    assert done.stdout.strip() == "6 []", done.stderr
