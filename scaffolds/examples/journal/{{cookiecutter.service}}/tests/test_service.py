"""The service as it really runs: calls through a broker to its workers."""

import time

from mpcli.bus import Caller


def test_an_event_goes_in_through_one_worker_and_comes_out_of_the_other(caller: Caller) -> None:
    caller.send("{{ cookiecutter.service }}.async.record_event", "started", {"by": "me"})

    deadline = time.monotonic() + 60
    while not (events := caller.call("{{ cookiecutter.service }}.sync.recent_events")):
        assert time.monotonic() < deadline, "the event never arrived"
        time.sleep(0.02)
    assert [(event["name"], event["details"]) for event in events] == [("started", {"by": "me"})]
