"""Did you mean."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that `name` was most probably meant to be, or None when none is near.

    A name that differs only in its service or its mode is near too: `mplogin.async.register` for
    `mplogin.sync.register`.
    """
    from difflib import get_close_matches  # 11 ms, only spent when something is wrong already

    known = sorted(set(names))
    word = name.rpartition(".")[2]
    same_word = [one for one in known if one.rpartition(".")[2] == word]
    close = get_close_matches(name, same_word, n=1, cutoff=0) or get_close_matches(name, known, n=1, cutoff=0.75)
    return close[0] if close else None
