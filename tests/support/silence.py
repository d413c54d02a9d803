"""A broker that is heard later, or never: a proxy that passes on what a client says and holds back what it is told."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress


@contextmanager
def silent_until(broker, heard):
    """A way to the broker on which nothing comes back until `heard` is true: who waits for any answer before that waits
    in vain. Yields its URL."""
    over = threading.Event()

    def serve(server):
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                upstream = socket.create_connection((broker.host, broker.port))
                threading.Thread(target=pump, args=(client, upstream), daemon=True).start()
                threading.Thread(target=hold_back, args=(upstream, client), daemon=True).start()

    def pump(source, target):
        with suppress(OSError), source, target:
            while data := source.recv(65536):
                target.sendall(data)

    def hold_back(source, target):
        deadline = time.monotonic() + 30
        while not heard() and not over.is_set() and time.monotonic() < deadline:
            time.sleep(0.005)
        if heard():
            pump(source, target)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield f"amqp://{broker.user}:{broker.password}@127.0.0.1:{server.getsockname()[1]}/{broker.vhost}"
        over.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
