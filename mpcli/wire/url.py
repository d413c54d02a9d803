"""Broker URLs: read, checked, and shown without their password.

`amqp://user:password@host:port/vhost?option=value`, as kombu and RabbitMQ write them; several separated by `;` are
tried in turn. Parts are percent-encoded. No path, and `/` alone, mean the vhost `/`, as kombu has it. By hand:
`urllib.parse` would cost the hot path 3 ms.
"""

from __future__ import annotations

from mpcli.errors import ConfigError

_PLAIN = frozenset({"amqp", "pyamqp", "librabbitmq"})
_SECURE = frozenset({"amqps", "pyamqps"})
_HIDDEN = "***"
# RabbitMQ's names of the TLS options (https://www.rabbitmq.com/uri-query-parameters.html) and kombu's for the same.
_TLS_OPTIONS = {
    "cacertfile": "ca_file",
    "ssl_ca_certs": "ca_file",
    "certfile": "cert_file",
    "ssl_certfile": "cert_file",
    "keyfile": "key_file",
    "ssl_keyfile": "key_file",
    "server_name_indication": "server_name",
    "ssl_server_hostname": "server_name",
    "verify": "verify",
    "ssl_cert_reqs": "verify",
}
_DO_NOT_VERIFY = frozenset({"verify_none", "none", "cert_none"})


class TlsSettings:
    """How to know the broker and be known by it. Files are PEM; without `ca_file` the system's authorities count."""

    __slots__ = ("ca_file", "cert_file", "key_file", "server_name", "verify")

    def __init__(
        self, ca_file: str = "", cert_file: str = "", key_file: str = "", server_name: str = "", verify: bool = True
    ) -> None:
        self.ca_file = ca_file
        self.cert_file = cert_file
        self.key_file = key_file
        self.server_name = server_name
        self.verify = verify


class BrokerUrl:
    """One address of a broker, and who we are there. `tls` is None for a plain connection."""

    __slots__ = ("host", "password", "port", "scheme", "tls", "user", "vhost")

    def __init__(
        self, scheme: str, host: str, port: int, user: str, password: str, vhost: str, tls: TlsSettings | None
    ) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.user = user
        self.password = password
        self.vhost = vhost
        self.tls = tls

    @property
    def address(self) -> str:
        """`host:port`, with the brackets of an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        vhost = "/" if self.vhost == "/" else self.vhost.replace("/", "%2F")
        return f"{self.scheme}://{self.user}:{_HIDDEN}@{self.address}/{vhost.removeprefix('/')}"

    __repr__ = __str__


def parse_urls(text: str) -> list[BrokerUrl]:
    """Every address in `text`, in the order in which to try them. Raises `ConfigError`, which shows no password.

    A later part may be only `host` or `host:port`; it then takes the rest from the first one.
    """
    urls: list[BrokerUrl] = []
    for part in filter(None, map(str.strip, text.split(";"))):
        if "://" in part or not urls:
            urls.append(_parse(part))
        else:
            first = urls[0]
            host, port = _host_and_port(part, first.port)
            urls.append(BrokerUrl(first.scheme, host, port, first.user, first.password, first.vhost, first.tls))
    if not urls:
        raise ConfigError("the broker URL is empty", "for example amqp://user:password@host:5672/vhost")
    return urls


def safe_url(text: str) -> str:
    """The URL or URLs as they may be shown: without password and options."""
    try:
        return ";".join(map(str, parse_urls(text)))
    except ConfigError:
        scheme, separator, _ = text.partition("://")
        return f"{scheme}://{_HIDDEN}" if separator and scheme.isalnum() else _HIDDEN


def _parse(text: str) -> BrokerUrl:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in _PLAIN | _SECURE:
        shown = scheme if separator and scheme.isalnum() else "that"
        raise ConfigError(
            f"{shown} is not the beginning of an AMQP URL",
            "for example amqp://user:password@host:5672/vhost, or amqps://",
        )
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    userinfo, _, place = authority.rpartition("@")
    user, colon, password = userinfo.partition(":")
    host, port = _host_and_port(place, 5671 if scheme in _SECURE else 5672)
    return BrokerUrl(
        scheme=scheme,
        host=host,
        port=port,
        user=_decoded(user) or "guest",
        password=_decoded(password) if colon else "guest",
        vhost=_decoded(path) or "/",
        tls=_tls(query) if scheme in _SECURE else None,
    )


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    """Split `host`, `host:port`, `[::1]` or `[::1]:port`."""
    if text.startswith("["):
        host, bracket, tail = text[1:].partition("]")
        port = tail.removeprefix(":")
        if not bracket or (tail and not tail.startswith(":")):
            raise ConfigError("a broker URL has a broken IPv6 address", "write it as [::1]:5672")
    else:
        host, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        # What stands here may be the rest of a password with an unencoded sign: it is not shown.
        raise ConfigError(
            "the port of a broker URL is not a number from 1 to 65535",
            "signs such as @ : / ; in a user name or password are percent-encoded: %40 %3A %2F %3B",
        )
    return _decoded(host) or "localhost", int(port) if port else default


def _decoded(text: str) -> str:
    """Percent-decoded as `urllib.parse.unquote` has it."""
    if "%" not in text:
        return text
    first, *others = text.encode(errors="surrogatepass").split(b"%")
    decoded = [first]
    for other in others:
        digits = other[:2]
        is_escape = len(digits) == 2 and all(digit in b"0123456789abcdefABCDEF" for digit in digits)
        decoded.append(bytes((int(digits, 16),)) + other[2:] if is_escape else b"%" + other)
    return b"".join(decoded).decode(errors="replace")


def _tls(query: str) -> TlsSettings:
    """The TLS options of the query; what else stands there (heartbeat=, login_method=) is other clients' business."""
    settings = TlsSettings()
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        name = _TLS_OPTIONS.get(key)
        if name == "verify":
            settings.verify = value.lower() not in _DO_NOT_VERIFY
        elif name is not None:
            setattr(settings, name, _decoded(value))
    return settings
