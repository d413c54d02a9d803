"""Each way in which a call fails: what `mp` says, what it advises, its exit code, and that the broker is as it was.

In the order in which the causes are looked at. The fixture `place` holds after each of them that no queue, no message
and no exchange was left behind.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from itertools import dropwhile
from typing import NamedTuple

import pytest

from mpcli.bus.naming import TaskName
from mpcli.cli.arguments import parse_item
from mpcli.errors import MpError
from mpcli.render.escape import escape_line
from mpcli.wire.celery_message import async_message
from mpcli.wire.open_caller import OpenCaller
from tests.contract.call.conftest import Ended, told_in_time, until


class Failure(NamedTuple):
    """The words behind `mp call`, and what comes of them: exit code, the two lines of the error, what stands before."""

    words: str
    code: int
    message: str
    hint: str
    before: str = ""
    url: str = "{url}"
    while_busy: bool = False


AT = r"127\.0\.0\.1:\d+"
SINCE = r"since \d\d:\d\d:\d\d \(\d+ s\)"
TRACEBACK = r"Traceback \(most recent call last\):\n.*\n"
FAILURES = {
    "name outside the grammar": Failure(
        "register", 2,
        r"'register' is not a task name: it must be <service>.<sync\|async>.<task>",
        "for example mplogin.sync.register",
    ),
    "mode outside the grammar": Failure(
        "mpready.snc.wait file=a", 2, "'snc' in 'mpready.snc.wait' is not a mode", "the middle word is sync or async"
    ),
    "unknown argument": Failure(
        "mpready.sync.wait fiel=a", 2, "mpready.sync.wait: there is no parameter 'fiel'",
        r"did you mean file\? mpready.sync.wait\(file: str\); --no-check sends it as it is",
    ),
    "missing argument": Failure(
        "mpready.sync.wait", 2, "mpready.sync.wait: 'file' is missing",
        r"mpready.sync.wait\(file: str\); --no-check sends it as it is",
    ),
    "argument without a JSON form": Failure(
        "mpready.sync.wait file:=NaN", 2, "file:=NaN is not JSON: NaN is a number of Python's, not of JSON's",
        "text needs quotes in JSON, or = instead of :=",
    ),
    "argument that no worker could read": Failure(
        """mpnobody.sync.x 'x:={"__type__": "no", "__value__": 1}'""", 2,
        "mpnobody.sync.x: x holds an object with the keys __type__ and __value__ that no worker can read: .*'no'",
        "these two keys alone are how Celery writes typed values, such as .*",
    ),
    "broker down": Failure(
        "mpready.sync.odd", 6, "no connection to 127.0.0.1:1: connection refused",
        r"MP_SYNC_URL names it: is it running, and is the address right\?", url="amqp://me:s3cret@127.0.0.1:1",
    ),
    "broker down, async": Failure(
        "mpmute.async.write", 6, "no connection to 127.0.0.1:1: connection refused",
        r"MP_ASYNC_URL names it: is it running, and is the address right\?", url="amqp://me:s3cret@127.0.0.1:1",
    ),
    "no TLS there": Failure(
        "mpready.sync.odd", 6, f"no TLS with {AT}: .*",
        r"does this port speak TLS at all\? Without it the URL begins with amqp://", url="amqps://{host}:{port}",
    ),
    "password refused": Failure(
        "mpready.sync.odd", 6, f"the broker at {AT} refuses user '\\w+': ACCESS_REFUSED .*",
        "check user and password in the URL", url="amqp://{user}:s3cret@{host}:{port}/{vhost}",
    ),
    "vhost refused": Failure(
        "mpmute.async.write", 6, f"the broker at {AT} refuses vhost 'nowhere': NOT_ALLOWED .*",
        "check the path of the URL; .*", url="amqp://{user}:{password}@{host}:{port}/nowhere",
    ),
    "exchange missing, a service that is nearly so named": Failure(
        "mpredy.sync.wait file=a", 5, f"there is no service mpredy on the sync broker at {AT}",
        r"did you mean mpready.sync.wait\? `mp tasks` lists what this platform has; .*",
    ),
    "exchange missing, async": Failure(
        "mpnothere.async.x", 5, f"there is no service mpnothere on the async broker at {AT}",
        "`mp tasks` lists what this platform has; a service that never ran is not known to the broker: `mp up`",
    ),
    "queue missing": Failure(
        "mpkeep.async.x", 5, "mpkeep has no queue for mpkeep.async.x: its exchange exists, but takes no async tasks",
        r"does mpkeep have async tasks at all, and was a worker of mpkeep.async ever started\?",
    ),
    "queue missing, delayed": Failure(
        "mpkeep.async.x --countdown 60", 5, f"there is no queue mpkeep.async on the broker at {AT}",
        "it appears when the service's worker first starts: `mp up`",
    ),
    "binding missing": Failure(
        "mploose.sync.x", 5,
        "the queue mploose.sync exists, but is not bound to the exchange mploose: mploose.sync.x went nowhere",
        "start a worker of it, or `mp up`: that binds it",
        # RabbitMQ may answer the look at the queue, which is another channel's, before it gives the message back.
        before="(mp: nobody is listening on mploose.sync; waiting 10 s for a worker to come\n)?",
    ),
    "binding missing, async": Failure(
        "mploose.async.x", 5,
        "the queue mploose.async exists, but is not bound to the exchange mploose: mploose.async.x went nowhere",
        "start a worker of it, or `mp up`: that binds it",
    ),
    "no consumer": Failure(
        "mpnobody.sync.x --timeout 0.3", 4,
        "no reply from mpnobody.sync.x in 0.3 s: nobody is listening on mpnobody.sync",
        "start a worker: `mp worker mpnobody.sync` or `mp up`; this call has expired and will not run later",
        before="mp: nobody is listening on mpnobody.sync; waiting 0.3 s for a worker to come\n",
    ),
    "unknown task": Failure(
        "mpready.sync.wiat file=a --timeout 60", 5, "mpready has no task mpready.sync.wiat",
        r"did you mean mpready.sync.wait\?",
    ),
    "task that is in the source, and with no worker": Failure(
        "mpready.sync.later --timeout 60", 5, "mpready has no task mpready.sync.later",
        "the source has it, and the workers that run do not: start them anew; if that does not help, see their log",
    ),
    "unknown task, async": Failure(
        "mpmute.async.wrte", 5, "mpmute has no task mpmute.async.wrte", r"did you mean mpmute.async.write\?"
    ),
    "worker busy": Failure(
        "mpready.sync.odd --timeout 0.4", 4,
        "no reply from mpready.sync.odd in 0.4 s: 1 worker is listening on mpready.sync, busy: "
        f"mpready@h runs mpready.sync.wait {SINCE}",
        "give it longer with --timeout, or start more workers; this call will not run later", while_busy=True,
    ),
    "content type refused by the worker": Failure(
        "mpdeaf.sync.x --timeout 0.4", 4,
        "no reply from mpdeaf.sync.x in 0.4 s: 1 worker is listening on mpdeaf.sync and does not answer when asked .*",
        ".*, or without json in accept_content; a call that it has fetched may still run",
    ),
    "content type refused by mp": Failure(
        "mppickle.sync.x --timeout 60", 4,
        "mppickle.sync.x ran and answered in pickle, which is not JSON: it is never loaded",
        "the service must set result_serializer to json",
    ),
    "no result backend": Failure(
        "mpmute.sync.x --timeout 0.4", 4,
        "no reply from mpmute.sync.x in 0.4 s, and none will come: the worker mpmute@h has no result backend",
        "to be called the service must set result_backend to rpc://; the task may well have run",
    ),
    "result backend other than rpc": Failure(
        "mpkeep.sync.x --timeout 0.4", 4,
        "no reply from mpkeep.sync.x in 0.4 s, and none will come: the worker mpkeep@h keeps its results in cache.*",
        "to be called the service must set result_backend to rpc://; the task may well have run",
    ),
    "task raised": Failure(
        "mpready.sync.fail --timeout 60", 3, r"mpready.sync.fail raised ValueError: bad \\x1b\[31m thing",
        "the traceback above is the worker's", before=TRACEBACK,
    ),
    "result without a JSON form": Failure(
        "mpready.sync.odd --timeout 60", 3, "mpready.sync.odd raised EncodeError: .*not JSON serializable.*",
        "the task ran, but what it returned has no JSON form", before=TRACEBACK,
    ),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_it_says_why(place, failure):
    url = failure.url.format(**vars(place.broker), url=place.broker.url)
    with place.busy() if failure.while_busy else contextlib.nullcontext():
        ended = told_in_time(
            lambda: place.ended(failure.words, MP_SYNC_URL=url, MP_ASYNC_URL=url), unless=failure.message
        )
    check(ended, failure)
    assert "s3cret" not in ended.errors


# Without a form on a line.
NOT_IN_A_BATCH = ("argument without a JSON form",)


@pytest.mark.parametrize("failure", [FAILURES[one] for one in FAILURES if one not in NOT_IN_A_BATCH],
                         ids=[one for one in FAILURES if one not in NOT_IN_A_BATCH])  # fmt: skip
def test_a_batch_says_the_same_of_a_line(place, failure):
    """In the line's result, or for what fails for all lines alike as the end of the batch."""
    url = failure.url.format(**vars(place.broker), url=place.broker.url)
    words, line = on_a_line(failure.words)
    with place.busy() if failure.while_busy else contextlib.nullcontext():
        ended = told_in_time(
            lambda: place.ended(words, line, MP_SYNC_URL=url, MP_ASYNC_URL=url), unless=failure.message
        )
    results = [json.loads(one) for one in ended.output.splitlines()]
    assert ended.code == failure.code, ended
    if results:
        (error,) = [one["error"] for one in results]
        assert (results[0]["line"], results[0]["ok"], error["code"]) == (1, False, failure.code)
        message, hint = error["message"], error.get("hint", "")
        assert error.get("traceback", "").startswith("Traceback" if failure.before == TRACEBACK else "")
    else:
        message, hint = (one.removeprefix("mp: ").strip() for one in ended.errors.splitlines()[-2:])
    assert re.fullmatch(f"(line 1: |not called: )?{failure.message}", escape_line(message)), ended
    assert re.fullmatch(failure.hint, hint) or (failure.hint, hint) == ("the traceback above is the worker's", "")
    assert "s3cret" not in f"{ended}"


def on_a_line(words):
    """The words of a batch, and its line of input, for the call that these words make."""
    task, *rest = shlex.split(words)
    options = list(dropwhile(lambda word: not word.startswith("--"), rest))
    arguments = dict(parse_item(item) for item in rest[: len(rest) - len(options)])
    return shlex.join([task, "--batch", *options]), json.dumps(arguments)


def check(ended, failure):
    assert (ended.code, ended.output) == (failure.code, "")
    told = f"{failure.before}mp: {failure.message}\n    {failure.hint}\n"
    assert re.fullmatch(told, ended.errors, re.DOTALL if failure.before else 0), ended.errors
    assert "\x1b" not in ended.errors


# What only an asking of the workers, or of the broker, finds out about calls that were sent together.
OVER_AN_OPEN_LINE = {
    "mpready.sync.odd": "worker busy",
    "mploose.sync.x": "binding missing",
    "mploose.async.x": "binding missing, async",
    "mpnobody.sync.x": "no consumer",
    "mpdeaf.sync.x": "content type refused by the worker",
    "mpmute.sync.x": "no result backend",
    "mpkeep.sync.x": "result backend other than rpc",
    "mpnothere.async.x": "exchange missing, async",
}


def test_calls_over_one_open_line_are_explained_each_for_itself(place):
    """In the words of a cold call."""
    patience = 0.4

    def attempt():
        nonlocal patience
        with place.busy(), OpenCaller(place.broker.url) as caller:
            begun = {task: start(caller, task, patience) for task in OVER_AN_OPEN_LINE}
            told = {task: outcome(ongoing) for task, ongoing in begun.items()}
        until(place.is_idle)
        patience *= 2
        return Ended(0, "", "\n".join(told.values()))

    def start(caller, task, timeout):
        name = TaskName.parse(task)
        if name.mode == "async":
            return caller.post(name, async_message(task, [], {}))
        return caller.begin(name, [], {}, timeout=timeout)

    def outcome(ongoing):
        with pytest.raises(MpError) as failed:
            ongoing.result()
        return failed.value.message

    expected = "\n".join(re.sub(r"0\.\d s", ".+ s", FAILURES[one].message) for one in OVER_AN_OPEN_LINE.values())
    told = told_in_time(attempt, unless=expected)
    assert re.fullmatch(expected, told.errors), told.errors


def test_a_slow_call_says_that_the_worker_is_at_it(place):
    patience = 0.4

    def attempt():
        nonlocal patience
        patience *= 2
        gate = place.gate()
        ended = place.ended(f"mpready.sync.wait file={gate} --timeout {patience:g}")
        gate.touch()
        until(place.is_idle)
        return ended

    failure = Failure(
        "", 4,
        f"no reply from mpready.sync.wait in .+ s: it is slow; the worker mpready@h has been running it {SINCE}",
        "it runs on, and its result is lost; give it longer with --timeout",
    )  # fmt: skip
    check(told_in_time(attempt), failure)
