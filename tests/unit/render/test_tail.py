"""How a watch that is interrupted ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mpcli.render.tail import show_tail
from mpcli.verbs.tail import Started, Summary, TailEvent


def shown(*events: TailEvent) -> bool | None:
    """What `show_tail` returns for these and then a Ctrl-C; None when it leaves it to others to say so."""

    def interrupted() -> Iterator[TailEvent]:
        yield from events
        raise KeyboardInterrupt

    try:
        return show_tail(interrupted(), as_json=True, full=False)
    except KeyboardInterrupt:
        return None


def test_its_summary_is_the_last_word_where_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(Started(["mplogin"], [], {}, Summary())) is False
    assert capsys.readouterr().err.splitlines()[-1] == "mp: 0 messages, 0 outcomes, 0 dropped"
    assert shown() is None
    assert capsys.readouterr().err == ""
