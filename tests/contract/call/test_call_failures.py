"""Each way in which a call fails: what `mp` says, what it advises, its exit code, and that the broker is as it was.

In the order in which the causes are looked at. The fixture `place` holds after each of them that no queue, no message
and no exchange was left behind.
"""

from __future__ import annotations

import contextlib
import re
from typing import NamedTuple

import pytest

from tests.contract.call.conftest import told_in_time, until


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


def check(ended, failure):
    assert (ended.code, ended.output) == (failure.code, "")
    told = f"{failure.before}mp: {failure.message}\n    {failure.hint}\n"
    assert re.fullmatch(told, ended.errors, re.DOTALL if failure.before else 0), ended.errors
    assert "\x1b" not in ended.errors


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
