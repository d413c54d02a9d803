"""Moments and durations have one form in all JSON (docs/reference/json.md)."""

from __future__ import annotations

import json
import re

from mpcli.render.message import outcome_as_dict
from mpcli.render.ps import show_status
from mpcli.render.up import show_events
from mpcli.runner.events import ProcessReady
from mpcli.runner.logs import RUN_LOG, LogFolder
from mpcli.verbs.ps import PlatformStatus, ProcessStatus
from mpcli.verbs.seen import Outcome
from mpcli.wire.events import TaskEvent

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
ODD = 1.23456789012345


def test_events_of_up(capsys, tmp_path):
    event = ProcessReady("mplogin.sync", "worker", ODD)
    show_events([event], True)
    with LogFolder(tmp_path) as logs:
        logs.write(event)
    for line in (capsys.readouterr().out, (tmp_path / RUN_LOG).read_text()):
        told = json.loads(line)
        assert MOMENT.fullmatch(told.pop("at"))
        assert told == {"event": "process-ready", "process": "mplogin.sync", "role": "worker", "seconds": 1.234568}


def test_uptimes(capsys):
    process = ProcessStatus("mplogin.sync", "worker", 1, "ready", ODD, 2, "amqp://h")
    show_status(PlatformStatus("a", "ready", "embedded", 1, ODD, 2, [process]), True)
    told = json.loads(capsys.readouterr().out)
    assert (told["uptime"], told["processes"][0]["uptime"]) == (1.234568, 1.234568)


def test_outcomes():
    told = outcome_as_dict(Outcome("async", ODD, TaskEvent("succeeded", "x", ODD, {"runtime": ODD})))
    assert (told["at"], told["seconds"]) == ("1970-01-01T00:00:01.234568Z", 1.234568)
