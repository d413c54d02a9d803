"""A call is one flight of bytes to the broker and one back, however far away the broker is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from silence import silent_until

from mpcli.bus.naming import TaskName
from mpcli.wire.handshake import connect
from mpcli.wire.methods import EXCHANGE_DECLARE, QUEUE_BIND, QUEUE_DECLARE
from mpcli.wire.open_caller import OpenCaller

MP = os.path.join(os.path.dirname(sys.executable), "mp")
ECHO = "mplogin.sync.echo"


@pytest.fixture
def service(broker, echo_service):
    with connect(broker.url) as connection:
        connection.request(EXCHANGE_DECLARE, "mplogin", "topic", False, True, False, False, False, {})
        connection.request(QUEUE_DECLARE, "mplogin.sync", False, True, False, False, False, {})
        connection.request(QUEUE_BIND, "mplogin.sync", "mplogin", "mplogin.sync.#", False, {})
    return echo_service(broker.url)


def test_mp_call_waits_for_nothing_before_the_task_has_its_message(broker, service, tmp_path):
    with silent_until(broker, lambda: service.asked) as url:
        done = subprocess.run(
            [MP, "call", ECHO, "value:=7", "--timeout", "20"], env={**os.environ, "MP_SYNC_URL": url},
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr


def test_nor_does_the_first_call_of_an_open_caller(broker, service):
    with silent_until(broker, lambda: service.asked) as url, OpenCaller(url) as caller:
        assert caller.call(TaskName.parse(ECHO), [], {"value": 7}, timeout=20) == 7
