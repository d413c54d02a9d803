"""The key of a message that waits is the one that Celery's own cascade of queues reads."""

from hypothesis import given
from hypothesis import strategies as st
from kombu.transport.native_delayed_delivery import calculate_routing_key

from mpcli.wire.delay import delayed_key


@given(st.integers(1, 2**28 - 1))
def test_the_key_is_kombus(seconds):
    assert delayed_key(seconds, "mplogin.async.x") == calculate_routing_key(seconds, "mplogin.async.x")
