from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpcli.errors import ConfigError
from mpcli.wire.url import parse_urls, safe_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amqp://", ("localhost", 5672, "guest", "guest", "/")),
        ("amqp://h", ("h", 5672, "guest", "guest", "/")),
        ("amqp://h/", ("h", 5672, "guest", "guest", "/")),
        ("pyamqp://u:p@h:1//", ("h", 1, "u", "p", "/")),
        ("librabbitmq://u:p@h/v", ("h", 5672, "u", "p", "v")),
        ("amqp://u%40x:p%3Aw%2F%3B@h/%2Fv%20w", ("h", 5672, "u@x", "p:w/;", "/v w")),
        ("amqp://u:@h/v", ("h", 5672, "u", "", "v")),
        ("amqps://[::1]/v", ("::1", 5671, "guest", "guest", "v")),
        ("amqp://u:p@[fe80::1]:77/v?heartbeat=3", ("fe80::1", 77, "u", "p", "v")),
    ],
)
def test_urls_are_read_as_kombu_reads_them(text, expected):
    (url,) = parse_urls(text)
    assert (url.host, url.port, url.user, url.password, url.vhost) == expected


@given(st.text("%25aFzé", max_size=12))
def test_passwords_are_decoded_as_by_the_standard_library(text):
    (url,) = parse_urls(f"amqp://u:{text}@h")
    assert url.password == unquote(text)


def test_several_are_tried_in_turn_and_may_be_short():
    urls = parse_urls("amqps://u:p@a/v; b:77 ;amqp://x:y@c/w")
    assert [(u.host, u.port, u.user, u.vhost, u.tls is not None) for u in urls] == [
        ("a", 5671, "u", "v", True),
        ("b", 77, "u", "v", True),
        ("c", 5672, "x", "w", False),
    ]


def test_tls_options_have_the_names_of_rabbitmq_and_of_kombu():
    (url,) = parse_urls(
        "amqps://h/?cacertfile=%2Fca.pem&certfile=c&keyfile=k&server_name_indication=n&verify=verify_none"
    )
    assert url.tls is not None
    assert (url.tls.ca_file, url.tls.cert_file, url.tls.key_file, url.tls.server_name, url.tls.verify) == (
        "/ca.pem", "c", "k", "n", False,
    )  # fmt: skip
    (url,) = parse_urls("amqps://h/?ssl_ca_certs=x&ssl_cert_reqs=CERT_REQUIRED")
    assert url.tls is not None
    assert (url.tls.ca_file, url.tls.verify) == ("x", True)


@pytest.mark.parametrize(
    "text", ["", ";", "redis://h", "h:5672", "amqp://h:x", "amqp://h:0", "amqp://h:70000", "amqp://[::1"]
)
def test_what_is_no_broker_url_is_refused(text):
    with pytest.raises(ConfigError):
        parse_urls(text)


@given(st.text(st.characters(exclude_characters="%", exclude_categories=["Cs"]), min_size=3, max_size=12))
def test_no_password_is_ever_shown(tail):
    password = f"Geheim{tail}"
    for text in (f"amqp://u:{password}@h/v", f"amqp://u:{password}", f"redis://u:{password}@h", f"u:{password}@h"):
        shown = safe_url(text)
        try:
            shown += str(parse_urls(text))
        except ConfigError as error:
            shown += error.message + error.hint
        if "/" not in tail and ";" not in tail and "?" not in tail and "@" not in tail:
            assert "Geheim" not in shown
