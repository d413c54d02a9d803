"""Finding what is named on the command line: a recording or a queue, and the journal that belongs to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from threading import Event, Thread
from time import time
from urllib.parse import quote

from mpcli.errors import BrokerError, BrokerRefused, MpError, NotFound, UsageError
from mpcli.platform.contexts import Context
from mpcli.platform.root import state_folder
from mpcli.recording.reader import MAKES_ONE
from mpcli.verbs.peek import Cost
from mpcli.verbs.queue_place import held, locate, suggestion, told, traits_of
from mpcli.verbs.replay.origin import Place
from mpcli.verbs.replay.sources import Recording, Source, Waiting
from mpcli.wire import aside
from mpcli.wire.handshake import connect
from mpcli.wire.methods import EXCHANGE_DECLARE, QUEUE_DECLARE
from mpcli.wire.queue_traits import Traits
from mpcli.wire.refusal import NOT_FOUND

_BEAT = 2.0
_LOOK = 2  # a channel that the broker may close
_LONG = 150  # of a queue's name in that of a file, which has 255 at most

# Raises when a queue may not be looked into at that cost.
May = Callable[[Cost, Traits], None]


def is_recording(name: str) -> bool:
    """Whether a file is meant. Raises `UsageError` for what can only be one and is not there."""
    path = Path(name)
    if path.is_file():
        return True
    if os.sep in name or path.suffix in (".mprec", ".jsonl"):
        raise UsageError(f"there is no file {name}", MAKES_ONE)
    return False


def open_source(
    around: Context, name: str, broker: str, expected: int = 0, may: May | None = None
) -> Recording | Waiting:
    """The recording at the path `name`, or the queue of that name; `broker` is sync, async, or empty to look.

    `expected` is how many messages a queue should hold: they may be on their way back from a process that was killed.
    `may` is as for `open_queue`.

    Raises `NotFound` when there is neither, `NotARecording`, `BrokerError`.
    """
    if is_recording(name):
        return Recording(Path(name))
    try:
        return open_queue(around, name, broker, expected, may)
    except NotFound as error:
        raise NotFound(f"{name} is no file here, and {error.message}", error.hint) from error


def open_queue(around: Context, name: str, broker: str, expected: int = 0, may: May | None = None) -> Waiting:
    """As `open_source`, for a queue only.

    `may`, where messages may go back to it, is called with what that costs before any is taken; it raises to refuse.
    """
    place = locate(around, name, broker)
    spared: int | None = None
    with told(place.endpoint):
        try:
            if may is not None:
                with held(around, place, "mp replay") as holding:
                    traits = traits_of(around, place, holding)
                    may(Cost(place, holding, traits, holding.ready), traits)
                    spared = None if traits.limit_set else traits.delivery_limit
            return Waiting(place.endpoint.url, name, str(place.broker), time(), expected, spared)
        except NotFound as error:
            error.hint = suggestion(around, name) or error.hint
            raise


def find_target(url: str, name: str) -> Place:
    """The queue or the exchange of that name, as a place to publish to. Raises `NotFound` when there is neither."""
    with connect(url) as connection:
        for exchange, key, method, values in (
            ("", name, QUEUE_DECLARE, (name, True, False, False, False, False, {})),
            (name, "", EXCHANGE_DECLARE, (name, "topic", True, False, False, False, False, {})),
        ):
            connection.open_channel(_LOOK)
            try:
                connection.request(method, *values, channel=_LOOK)
            except BrokerRefused as error:
                if error.code != NOT_FOUND:
                    raise
                continue
            return Place(exchange, key)
    raise NotFound(f"{name} is neither a queue nor an exchange there", "`mp queues` lists the queues")


def journal_path(around: Context, name: str) -> Path:
    """Beside a recording; for a queue in the platform's runtime folder, outside of any in the user's state folder."""
    return Path(f"{name}.replay") if is_recording(name) else queue_journal(around, name)


def queue_journal(around: Context, queue: str) -> Path:
    """As `journal_path`, for a queue only, whose name may be anything: a slash in it makes no folder."""
    named = quote(queue, safe="")
    if len(named) > _LONG:
        named = f"{named[:_LONG]}-{blake2b(queue.encode(), digest_size=8).hexdigest()}"
    folder = state_folder(around.root)
    return Path(folder) / "replay" / f"{around.name}.{named}.replay"


@contextmanager
def closing(source: Source) -> Iterator[None]:
    """Close it at the end; after an error that error is the one to be told."""
    try:
        yield
    except BaseException:
        with suppress(MpError):
            source.close()
        raise
    source.close()


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
    aside.start(thread)
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failures:
        raise failures[0]
