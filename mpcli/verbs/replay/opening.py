"""Finding what is named on the command line: a recording or a queue, and the journal that belongs to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import time

from mpcli.bus.naming import Mode
from mpcli.errors import BrokerError, NotFound, UsageError
from mpcli.platform.contexts import Context
from mpcli.platform.root import user_folder
from mpcli.verbs.replay.sources import Recording, Source, Waiting

_BEAT = 2.0


def open_source(around: Context, name: str, broker: str) -> Recording | Waiting:
    """The recording at the path `name`, or the queue of that name; `broker` is sync, async, or empty to look.

    Raises `NotFound` when there is neither, `NotARecording`, `BrokerError`.
    """
    path = Path(name)
    if path.is_file():
        return Recording(path)
    if os.sep in name or path.suffix in (".mprec", ".jsonl"):
        raise UsageError(f"there is no file {name}", "`mp tail --record FILE` makes a recording")
    modes = [Mode(broker)] if broker else _likely(name)
    for mode in modes:
        endpoint = around.endpoint(mode)
        try:
            return Waiting(endpoint.url, name, str(mode), time())
        except NotFound:
            continue
    where = " and ".join(modes)
    raise NotFound(f"{name} is no file here, and no queue on the {where} broker", "`mp queues` lists the queues")


def _likely(queue: str) -> list[Mode]:
    """The brokers that may have it: dead letters are of async tasks."""
    if queue.endswith(".sync"):
        return [Mode.SYNC]
    return [Mode.ASYNC] if queue.endswith(".async") else [Mode.ASYNC, Mode.SYNC]


def journal_path(around: Context, source: Source, name: str) -> Path:
    """Beside a recording; for a queue in the platform's runtime folder, or outside of any in the user's state folder."""
    if not source.queue:
        return Path(f"{name}.replay")
    return queue_journal(around, source.queue)


def queue_journal(around: Context, queue: str) -> Path:
    """Where the replay of a queue is journaled."""
    folder = around.runtime or user_folder("XDG_STATE_HOME", os.path.join(".local", "state"))
    return Path(folder) / "replay" / f"{around.name}.{queue.replace(os.sep, '_')}.replay"


@contextmanager
def kept(source: Source) -> Iterator[None]:
    """Keep the source alive while a person is asked, or edits; nothing else may touch it meanwhile.

    Raises `BrokerError` at the end when the connection broke: what was held is back in its queue then.
    """
    over, failures = Event(), []

    def beat() -> None:
        while not over.wait(_BEAT):
            try:
                source.beat()
            except BrokerError as error:
                failures.append(error)
                return

    thread = Thread(target=beat, name="mp replay heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failures:
        raise failures[0]


