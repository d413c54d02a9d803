"""How a replay changes messages, as plain values, and the names of the changes."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from time import time

DROP, SHIFT, KEEP = "drop", "shift", "keep"
EXPIRED = (DROP, SHIFT, KEEP)

# What is changed in a message; the order is that of the plan.
ID, STEPS, REPLY, EXPIRY, ETA, DEATHS, COPIES, USER, ARGUMENTS, ROUTE = (
    *("id", "steps", "reply", "expiry", "eta", "deaths", "copies", "user", "arguments", "route"),
)
# Headers of ours: the id that a message had when it was first sent.
PROVENANCE = "mp_replay_of"


class Policy:
    """`salt` makes the new ids: a resumed replay gives a message the id that it had before.

    `now` is in seconds since 1970. `reply_to` is where replies of sync tasks are awaited, empty when nobody waits;
    `patience` how long, in seconds. `users` are the logins with which is published, by broker. `renewed` holds the ids
    of all that is sent again.
    """

    __slots__ = ("_last", "expired", "keep_id", "now", "patience", "renewed", "reply_to", "salt", "users")

    def __init__(
        self,
        *,
        keep_id: bool = False,
        expired: str = DROP,
        salt: str = "",
        now: float | None = None,
        reply_to: str = "",
        patience: float = 0.0,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.keep_id = keep_id
        self.expired = expired
        self.salt = salt
        self.now = time() if now is None else now
        self.reply_to = reply_to
        self.patience = patience
        self.users = users or {}
        self.renewed: set[str] = set()
        self._last = ("", "")

    def new_id(self, old: str) -> str:
        """The id that takes the place of `old`, the same one each time: RFC 9562's version 8, made from a hash."""
        if self.keep_id:
            return old
        if old == self._last[0]:  # a message has its id in two or three places
            return self._last[1]
        text = blake2b(f"{self.salt}\0{old}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        new = f"{text[:8]}-{text[8:12]}-8{text[13:16]}-a{text[17:20]}-{text[20:]}"
        self._last = (old, new)
        return new
