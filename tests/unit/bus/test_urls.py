import warnings

import pytest

from mpcli.bus import urls
from mpcli.bus.naming import Mode
from mpcli.bus.urls import address, broker_url, normalise, safe_url
from mpcli.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("amqp://a:b@h:1/v", "pyamqp://a:b@h:1/v"),
        ("pyamqp://h//", "pyamqp://h//"),
        ("amqps://h/v", "amqps://h/v"),
        ("amqp://h1/v; amqp://h2/v", "pyamqp://h1/v;pyamqp://h2/v"),
    ],
)
def test_the_driver_is_named(given, read):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert normalise(given) == read


def test_librabbitmq_is_mapped_with_one_warning(monkeypatch):
    monkeypatch.setattr(urls, "_warned", set())
    with pytest.warns(RuntimeWarning, match="librabbitmq"):
        assert normalise("librabbitmq://a:b@h/v") == "pyamqp://a:b@h/v"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        normalise("librabbitmq://a:b@h/v")


@pytest.mark.parametrize("bad", ["redis://h", "h:5672", "memory://", "amqp://h:port/", "://"])
def test_what_is_not_amqp_is_refused(bad):
    with pytest.raises(ConfigError):
        normalise(bad)


def test_a_missing_url_names_its_variable():
    with pytest.raises(ConfigError, match="MP_ASYNC_URL is not set"):
        broker_url(Mode.ASYNC, environ={"MP_SYNC_URL": "amqp://h"})
    assert broker_url(Mode.SYNC, environ={"MP_SYNC_URL": "amqp://h"}) == "pyamqp://h"
    assert broker_url(Mode.SYNC, "amqp://mine", environ={"MP_SYNC_URL": "amqp://h"}) == "pyamqp://mine"


def test_passwords_are_not_shown():
    assert safe_url("amqp://u:s3cret@h:1/v;amqp://u:s3cr@et@h2/v") == "amqp://u@h:1/v;amqp://u@h2/v"
    with pytest.raises(ConfigError) as caught:
        normalise("http://user:s3cret@h")
    assert "s3cret" not in caught.value.message
    assert "s3cret" not in address("amqp://u:s3cret@h:1/v")


def test_an_address_for_messages():
    assert address("amqp://u@h") == "h:5672"
    assert address("amqps://h/shop%2Fone") == "h:5671, vhost shop/one"
