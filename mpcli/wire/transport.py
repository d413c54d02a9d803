"""A connected socket to one address, or a `BrokerUnreachable` that says why not, within a deadline."""

from __future__ import annotations

# What `socket` is built on, and all that a plain connection needs: the rest, with its selectors, costs a call 2 ms.
import _socket
from time import monotonic

from mpcli.errors import IS_IT_RUNNING, BrokerUnreachable, ConfigError
from mpcli.wire.url import BrokerUrl, TlsSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl


def open_socket(url: BrokerUrl, deadline: float) -> _socket.socket:
    """Connect, with TLS when the URL asks for it. `deadline` is on the clock of `time.monotonic`.

    Raises `BrokerUnreachable`, or `ConfigError` for a certificate file that cannot be used.
    """
    failure: OSError | None = None
    for family, address in _resolve(url, deadline):
        connection = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(address)
            connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            failure = error
            continue
        except BaseException:
            connection.close()
            raise
        return _secured(connection, url, url.tls, deadline) if url.tls else connection
    raise BrokerUnreachable(f"no connection to {url.address}: {_reason(failure)}", IS_IT_RUNNING) from failure


def _left(deadline: float) -> float:
    """Seconds to the deadline, never 0, which would mean `do not block`."""
    return max(deadline - monotonic(), 0.001)


def _reason(error: OSError | None) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return (error.strerror or str(error)).lower() if error else "the name has no address"


Address = tuple[str, int]


def _resolve(url: BrokerUrl, deadline: float) -> list[tuple[int, Address]]:
    """The addresses of the host. A literal one costs no look-up, and a name that hangs costs no more than is left."""
    host, port = url.host, url.port
    if host.replace(".", "").isdigit():
        return [(_socket.AF_INET, (host, port))]
    if host == "localhost":
        return _look_up(host, port)
    import threading

    from mpcli.wire import aside

    found: list[list[tuple[int, Address]] | OSError] = []

    def work() -> None:
        try:
            found.append(_look_up(host, port))
        except OSError as error:
            found.append(error)

    # getaddrinfo knows no deadline; a daemon thread that outlives ours dies with the process.
    thread = threading.Thread(target=work, daemon=True)
    aside.start(thread)
    thread.join(_left(deadline))
    result = found[0] if found else TimeoutError()
    if isinstance(result, OSError):
        why = "the name is not answered in time" if isinstance(result, TimeoutError) else _reason(result)
        raise BrokerUnreachable(f"no connection to {url.address}: {why}", IS_IT_RUNNING) from result
    return result


def _look_up(host: str, port: int) -> list[tuple[int, Address]]:
    # As bytes it goes to the resolver as it is; of a text Python makes an international name, with 2 ms of imports.
    name = host.encode() if host.isascii() else host
    try:
        return [(info[0], info[4]) for info in _socket.getaddrinfo(name, port, type=_socket.SOCK_STREAM)]  # type: ignore[misc]  # an AF_INET6 address has two more fields, which connect() takes
    except UnicodeError as error:
        raise OSError(0, "the name is not a host's name") from error


def _secured(plain: _socket.socket, url: BrokerUrl, tls: TlsSettings, deadline: float) -> ssl.SSLSocket:
    """The same connection under TLS, the certificate checked unless the URL says not to."""
    import socket
    import ssl

    connection = socket.socket(fileno=plain.detach())
    try:
        context = tls_context(tls)
        connection.settimeout(_left(deadline))
        return context.wrap_socket(connection, server_hostname=tls.server_name or url.host)
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise BrokerUnreachable(
            f"the certificate of {url.address} is not accepted: {error.verify_message}",
            "name the authority with ?cacertfile=..., the expected name with &server_name_indication=...",
        ) from error
    except OSError as error:
        connection.close()
        if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING"):
            hint = "does this port speak TLS at all? Without it the URL begins with amqp://"
            raise BrokerUnreachable(f"no TLS with {url.address}: {error.reason}", hint) from error
        reason = getattr(error, "reason", None) or _reason(error)
        raise BrokerUnreachable(
            f"no TLS with {url.address}: {reason}", "does it ask for a client certificate?"
        ) from error
    except BaseException:
        connection.close()
        raise


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """What the settings mean for the standard library. Raises `ConfigError` for a file that cannot be used."""
    import ssl

    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file or None, password=lambda: "")
    except (OSError, ValueError) as error:
        files = ", ".join(filter(None, (tls.ca_file, tls.cert_file, tls.key_file)))
        raise ConfigError(
            f"a certificate file cannot be used ({files}): {error}", "PEM files, keys without password"
        ) from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
