"""`mp record`: what it shows of a recording, hostile and secret ones included."""

import json
import pickle
import zlib
from pathlib import Path

import pytest

from mpcli.cli.entry import main
from mpcli.recording.format import DROPPED, EVENT, GAP, TASK, Entry
from mpcli.recording.writer import Writer
from mpcli.verbs.replay.choice import Choice
from mpcli.verbs.replay.planning import Job
from mpcli.verbs.replay.policy import Policy
from mpcli.verbs.replay.sources import Recording
from mpcli.wire.codec import Typed
from mpcli.wire.message import Message

HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e"


def task(task_id: str, *args, name: str = "mplogin.sync.register", headers=None, **kwargs) -> Message:
    found = {"task": name, "id": task_id, "retries": 0, "eta": None, "argsrepr": repr(args), "kwargsrepr": repr(kwargs)}
    properties = {"content_type": "application/json", "headers": {**found, **(headers or {})}}
    return Message.build("mplogin", name, properties, json.dumps([args, kwargs, {}]).encode())


def event(what: str, task_id: str, **fields) -> Message:
    body = json.dumps([{"type": f"task-{what}", "uuid": task_id, "timestamp": 1.0, "hostname": "w@h", **fields}])
    return Message.build("celeryev", "task.multi", {}, body.encode())


def write(path: Path, *messages: Message) -> Path:
    with Writer(path) as writer:
        for at, message in enumerate(messages):
            kind = EVENT if message.exchange == "celeryev" else TASK
            writer.write([Entry(kind, 1700000000.0 + at, "sync", message)])
    return path


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "messages.mprec"


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_show_pairs_outcomes_and_tells_what_is_missing(file, capsys) -> None:
    write(file, task("1", "a@b.c", amount=5), event("failed", "1", exception="ValueError('no')"))
    with Writer(file) as writer:
        writer.write(
            [Entry(GAP, 2.0, "sync", fields={"seconds": 1.5}), Entry(DROPPED, 3.0, "async", fields={"count": 7})]
        )
    assert main(["record", "show", str(file)]) == 0
    message, outcome, gap, dropped = lines(capsys)
    assert (message["task"], message["args"], message["kwargs"]) == ("mplogin.sync.register", ["a@b.c"], {"amount": 5})
    assert (outcome["outcome"], outcome["id"], outcome["error"]) == ("failed", "1", "ValueError('no')")
    assert (gap["kind"], gap["seconds"], dropped["kind"], dropped["count"]) == ("gap", 1.5, "dropped", 7)


def test_show_full_has_every_header_with_its_type(file, capsys) -> None:
    write(file, task("1", headers={"width": Typed("s", 3), "when": Typed("T", 17), "price": Typed("D", (2, 314))}))
    assert main(["record", "show", "--full", str(file)]) == 0
    (message,) = lines(capsys)
    assert message["headers"]["width"] == {"type": "int16", "value": 3}
    assert message["headers"]["when"] == {"type": "timestamp", "value": 17}
    assert message["headers"]["price"] == {"type": "decimal", "value": [2, 314]}
    assert message["headers"]["eta"] == {"type": "null", "value": None}
    assert message["headers"]["retries"] == {"type": "int32", "value": 0}


def test_where_and_limit(file, capsys) -> None:
    write(file, *(task(str(n), n=n) for n in range(10)))
    assert main(["record", "show", str(file), "--where", "kwargs['n'] % 2", "--limit", "2"]) == 0
    assert [line["id"] for line in lines(capsys)] == ["1", "3"]
    assert main(["record", "show", str(file), "--where", "nonsense"]) == 2


def test_secrets_are_masked_on_the_screen_and_not_in_the_file(file, capsys) -> None:
    secret = {"password": "hunter2", "deep": [{"api_key": "hunter2"}], "url": "amqp://me:hunter2@host/"}
    opaque = task("2", token="hunter2").changed(content_type="application/x-yaml")
    write(file, task("1", **secret), opaque, event("failed", "1", exception="Refused(password='hunter2')"))
    for argv in (["show", str(file), "--full"], ["grep", "hunter2", str(file)], ["diff", str(file), str(file)]):
        assert main(["record", *argv]) == 0
        assert "hunter2" not in "".join(capsys.readouterr())
    assert "hunter2" in file.read_text()


def test_positional_secrets_are_known_by_the_source(file, capsys) -> None:
    (file.parent / "mp.toml").write_text("")
    service = file.parent / "mplogin"
    (service / "mplogin").mkdir(parents=True)
    (service / "pyproject.toml").write_text('[tool.mpcli]\nservice = "mplogin"\nsync = "mplogin.apps:sync_app"\n')
    (service / "mplogin" / "tasks.py").write_text(
        "from .apps import sync_app\n@sync_app.task\ndef login(email, password):\n    pass\n"
    )
    write(file, task("1", "a@b.c", "hunter2", name="mplogin.sync.login"))
    assert main(["record", "show", str(file)]) == 0
    (message,) = lines(capsys)
    assert message["args"] == ["a@b.c", "***"]


def test_grep_looks_into_headers_and_compressed_bodies(file, capsys) -> None:
    packed = task("2", email="c@d.e")
    packed = packed.changed(headers={**packed.headers, "compression": "application/x-gzip"})
    packed = Message(packed.exchange, packed.routing_key, packed.raw_properties, zlib.compress(packed.body))
    write(file, task("1", email="a@b.c"), packed, task("3", headers={"origin": "gen7@host"}))
    for pattern, found in [("a@b", ["1"]), ("C@D", []), (r"\[\[\], {.email.: .c@d", ["2"]), ("origin=gen7", ["3"])]:
        assert main(["record", "grep", pattern, str(file)]) == 0
        assert [line["id"] for line in lines(capsys)] == found
    assert main(["record", "grep", "-i", "C@D", str(file)]) == 0
    assert [line["id"] for line in lines(capsys)] == ["2"]
    assert main(["record", "grep", "(", str(file)]) == 2


def test_stat_adds_up(file, capsys) -> None:
    write(
        file, task("1"), task("2"), task("3", name="mplogin.sync.login"), event("succeeded", "1"), event("failed", "2")
    )
    file.write_bytes(file.read_bytes() + b'{"torn')
    assert main(["record", "stat", str(file)]) == 0
    (found,) = lines(capsys)
    assert (found["messages"], found["events"], found["torn"], found["damaged_lines"]) == (3, 2, True, [])
    assert {(row["task"], row["count"]) for row in found["tasks"]} == {
        ("mplogin.sync.register", 2),
        ("mplogin.sync.login", 1),
    }
    assert [(row["outcome"], row["count"]) for row in found["outcomes"]] == [("failed", 1), ("succeeded", 1)]
    assert (found["first"], found["last"]) == ("2023-11-14T22:13:20.000000Z", "2023-11-14T22:13:24.000000Z")


def test_diff_sees_the_type_of_a_header_and_pairs_a_replay(file, capsys) -> None:
    other = file.with_name("other.mprec")
    write(file, task("1", n=1), task("2", n=2), task("3", n=3), task("4", n=4))
    changed = task("3", n=3).changed(headers={**task("3", n=3).headers, "retries": Typed("s", 0)})
    write(other, task("1", n=1), task("20", n=2), changed, task("5", n=5))
    assert main(["record", "diff", str(file), str(other)]) == 0
    found = lines(capsys)
    assert [(line["changes"] and line["changes"][0]) for line in found[:2]] == [
        {"field": "headers.retries", "left": "0 (int32)", "right": "0 (int16)"},
        {"field": "headers.id", "left": "'2' (string)", "right": "'20' (string)"},
    ]
    assert [(line["left"] or {}).get("id") for line in found[2:]] == ["4", None]
    assert [(line["right"] or {}).get("id") for line in found[2:]] == [None, "5"]
    assert main(["record", "diff", str(file), str(file)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", [["show", "--full"], ["show"], ["stat"], ["grep", "."]])
def test_no_control_of_a_recording_reaches_the_terminal(file, capsys, monkeypatch, command) -> None:
    hostile = task(HOSTILE, HOSTILE, name=f"mplogin.sync.{HOSTILE}", headers={HOSTILE: HOSTILE}, **{HOSTILE: HOSTILE})
    hostile = hostile.changed(exchange=HOSTILE, type=HOSTILE, reply_to=HOSTILE)
    pickled = hostile.changed(content_type="application/x-python-serialize")
    pickled = Message(pickled.exchange, pickled.routing_key, pickled.raw_properties, pickle.dumps([HOSTILE]))
    raw = Message("e", "k", b"\xff\xfc" + HOSTILE.encode(), HOSTILE.encode())
    write(file, hostile, pickled, raw, event("failed", HOSTILE, exception=HOSTILE, traceback=HOSTILE))
    monkeypatch.setattr("mpcli.render.console.stdout_is_terminal", lambda: True)
    assert main(["record", *command, str(file)]) == 0
    shown = "".join(capsys.readouterr())
    assert "owned" in shown
    assert not [char for char in shown if char in "\x1b\x07\x9b\u202e"]


def test_a_file_of_something_else_is_a_usage_error(file, capsys) -> None:
    file.write_text("my diary\n")
    assert main(["record", "show", str(file)]) == 2
    assert "not a recording" in capsys.readouterr().err
    assert main(["record", "stat", str(file.with_name("absent"))]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_whoever_reads_a_damaged_recording_is_told(file, tmp_path, capsys) -> None:
    write(file, task("1"), task("2"))
    lines = file.read_bytes().splitlines(keepends=True)
    damaged = tmp_path / "damaged.mprec"
    damaged.write_bytes(b"".join([*lines, b'{"kind": "task"}\n', b'{"torn']))
    said = "1 damaged line skipped (4); the last line is cut off, as a crash leaves it, and was skipped"
    for argv in (["record", "show"], ["record", "diff", str(file)], ["trace", "1"]):
        assert main([*argv, str(damaged)]) == 0
        assert said in capsys.readouterr().err
    job = Job(Recording(damaged), Choice(), Policy(), {})
    assert job.plan("local").warnings == [said]
    assert Job(Recording(file), Choice(), Policy(), {}).plan("local").warnings == []
