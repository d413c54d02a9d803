"""A publish gathered from its frames."""

from __future__ import annotations

import tracemalloc

from mpcli.brokers.embedded.publishing import Assembly
from mpcli.wire import methods as m
from mpcli.wire.frames import CONTENT_START


def test_a_body_in_tiny_frames_takes_no_more_memory_than_its_bytes() -> None:
    size = 200_000
    assembly = Assembly(m.BASIC_PUBLISH.encode("", "q", False, False), limit=size)
    assembly.header_came(CONTENT_START.pack(60, 0, size) + bytes(2))
    body = bytes(range(200)) * (size // 200)
    tracemalloc.start()
    whole = [assembly.body_came(body[at : at + 2]) for at in range(0, size, 2)]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert whole.index(True) == len(whole) - 1
    assert assembly.body == body
    assert most < 8 * size, "among it the list of answers above, of 8 bytes each"
