"""The same calls through TLS: a terminating proxy in front of the broker."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mpcli.bus import Caller
from mpcli.bus.naming import Mode
from mpcli.errors import BrokerUnreachable, UnknownService


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    argv += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=60)
    return folder / "cert.pem", folder / "key.pem"


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def tls_url(served, certificate) -> Iterator[str]:
    parts = urlsplit(served.urls[Mode.SYNC])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = []

    def one(peer: socket.socket) -> None:
        try:
            inside = context.wrap_socket(peer, server_side=True)
        except (ssl.SSLError, OSError):
            peer.close()
            return
        outside = socket.create_connection((parts.hostname, parts.port))
        sockets.extend((inside, outside))
        back = threading.Thread(target=_pump, args=(outside, inside))
        back.start()
        threads.append(back)
        _pump(inside, outside)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threads.append(threading.Thread(target=one, args=(server.accept()[0],)))
                threads[-1].start()

    threads.append(threading.Thread(target=accept))
    threads[0].start()
    port = server.getsockname()[1]
    yield f"amqps://{parts.username}:{parts.password}@localhost:{port}{parts.path}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for thread in threads:
        thread.join(10)
    for each in sockets:
        each.close()


def test_calls_through_tls(tls_url, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with Caller(tls_url, tls_url) as caller, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: caller.call("mpalpha.sync.add", number), range(100))) == list(range(1, 101))
        assert caller.call("mpalpha.sync.echo", "x" * 300_000) == "x" * 300_000
        with pytest.raises(UnknownService):
            caller.call("mpnothere.sync.add", 1)


def test_a_worker_through_tls(tls_url, certificate, monkeypatch, start_worker):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    worker = start_worker("services:beta_sync", "mpbeta.sync", tls_url, processes=1)  # ready: it listens
    assert "Traceback" not in worker.log.read_text()


def test_an_unknown_certificate_is_refused(tls_url):
    with Caller(tls_url, tls_url) as caller, pytest.raises(BrokerUnreachable, match="TLS"):
        caller.call("mpalpha.sync.add", 1)
