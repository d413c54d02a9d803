"""What changes in one message before it is sent again. Pure: a message in, a message and the names of its changes out.

Why each change: docs/reference/replay.md. Whatever is not named there is copied as the bytes that it was.
"""

from __future__ import annotations

from datetime import UTC, datetime

from mpcli.bus.naming import Mode
from mpcli.errors import ProtocolError
from mpcli.verbs.replay.arguments import Arguments, Unreadable
from mpcli.verbs.replay.origin import DEATH_HEADERS, Place, Unknown, origin
from mpcli.verbs.replay.policy import (
    ARGUMENTS,
    COPIES,
    DEATHS,
    DROP,
    ETA,
    EXPIRY,
    ID,
    KEEP,
    PROVENANCE,
    REPLY,
    ROUTE,
    SHIFT,
    STEPS,
    USER,
    Policy,
)
from mpcli.verbs.seen import Seen
from mpcli.wire.codec import Value, encode_shortstr
from mpcli.wire.message import Message
from mpcli.wire.patch import Patch

# As Celery and the bus write an embed that holds nothing: then the body need not be decoded.
_NOTHING_EMBEDDED = b'{"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
_COPIES = ("CC", "BCC")
_BROKERS = frozenset(map(str, Mode))
# Characters of ASCII that a short string can hold.
_SURELY_SHORT = 255
_HARMFUL = frozenset({*DEATH_HEADERS, *_COPIES})


class Rewritten:
    """A message as it will be sent, the id of its task, what was changed in it; or, with `skip`, why it is not sent.

    `notes` tell what the message brings with it, whatever is changed: `chain of 3 more`, `waits for its eta`.
    `relatives` are its parent and its root, where they are other tasks; `task` is its name, where its headers tell it.
    """

    __slots__ = (
        *("_body", "_message", "_patch", "changes", "exchange", "id", "notes", "old_id", "relatives"),
        *("routing_key", "skip", "task"),
    )

    def __init__(self, message: Message, old_id: str = "", skip: str = "", task: str = "") -> None:
        self.task = task
        self.old_id = old_id
        self.id = old_id
        self.skip = skip
        self.changes: list[str] = []
        self.notes: list[str] = []
        self.relatives: tuple[str, ...] = ()
        self.exchange = message.exchange
        self.routing_key = message.routing_key
        self._message: Message | None = message
        self._patch: Patch | None = None
        self._body = b""

    def become(self, place: Place, patch: Patch, body: bytes) -> None:
        """Be another message: to that place, with those properties and that body."""
        self.exchange, self.routing_key = place.exchange, place.routing_key
        self._message, self._patch, self._body = None, patch, body

    @property
    def message(self) -> Message:
        """What is sent. Put together when it is asked for: a broker is slower than we are, a plan is waited for."""
        if self._message is None:
            assert self._patch is not None
            self._message = Message(self.exchange, self.routing_key, self._patch.encode(), self._body)
            self._patch = None
        return self._message


def rewrite(seen: Seen, policy: Policy, queue: str = "", edited: Arguments | None = None) -> Rewritten:
    """The message as the policy wants it; `edited` are other arguments for it, `queue` is where it was taken from."""
    try:
        return _Rewriting(seen, policy, queue, edited).run()
    except (ProtocolError, Unknown, Unreadable) as error:
        return Rewritten(seen.message, skip=str(error))
    except UnicodeEncodeError:  # JSON can hold half a surrogate pair, AMQP cannot
        return Rewritten(seen.message, skip="its id is no text that a header can hold")


class _Expired(Unknown):
    """Nobody would run it."""


class _Rewriting:
    def __init__(self, seen: Seen, policy: Policy, queue: str, edited: Arguments | None) -> None:
        if seen.broker not in _BROKERS:
            raise Unknown(f"it was recorded on a broker named {seen.broker!r}, which is neither sync nor async")
        self.seen = seen
        self.policy = policy
        self.queue = queue
        self.patch = Patch(seen.message.raw_properties)
        self.place = _named(origin(seen, self.patch.header("x-death"), queue))
        self.body = seen.message.body
        task = self.patch.text("task")
        self.first = not task
        self.arguments = edited or (Arguments(seen.view) if self._must_open() else None)
        self.edited = edited is not None
        self.old_id = self._id()
        if self.arguments is not None and self.arguments.hides_id and not policy.keep_id:
            raise Unreadable("its id is in a body that is never decoded: --keep-id sends it as it is")
        self.done = Rewritten(seen.message, self.old_id, task=task)
        relatives = (self.patch.text("parent_id"), self.patch.text("root_id"))
        self.done.relatives = tuple(one for one in relatives if one and one != self.old_id)

    def _must_open(self) -> bool:
        """Whether the body holds what must be changed or told: protocol 1's id, the steps that follow."""
        return self.first or not self.body.endswith(_NOTHING_EMBEDDED)

    def _id(self) -> str:
        if not self.first:
            return self.patch.text("id")
        if self.arguments is not None and self.arguments.first:
            return self.arguments.id
        return ""

    def run(self) -> Rewritten:
        done = self.done
        self._expire()
        if self.old_id:
            self._renew()
        self._strip()
        if self.arguments is not None and self.arguments.changed:
            self._encode(self.arguments)
        if (self.place.exchange, self.place.routing_key) != (done.exchange, done.routing_key):
            done.changes.append(ROUTE)
        if done.changes or self.patch.changed:
            done.become(self.place, self.patch, self.body)
        return done

    # -- expiry and eta --------------------------------------------------------------------------------------------

    def _expire(self) -> None:
        policy, done = self.policy, self.done
        for name in ("expires", "eta"):
            text = self.arguments.text(name) if self.first and self.arguments else self.patch.text(name)
            moment = _seconds(text)
            if moment is None:
                continue
            past = moment <= policy.now
            if policy.expired == SHIFT:
                if name == "expires" and moment <= self._since():
                    raise _Expired(f"expired at {text}, before it was seen or died: it has no time to be given again")
                self._set_moment(name, text, moment + policy.now - self._since())
                done.changes.append(EXPIRY if name == "expires" else ETA)
            elif name == "eta":
                done.notes.append("eta is past: runs at once" if past else "waits for its eta")
            elif past and policy.expired == DROP:
                raise _Expired(f"expired at {text}: --expired shift gives it its time again")
            elif past:
                done.notes.append("expired: a worker will discard it as revoked")

    def _since(self) -> float:
        """From when on it had the time that it is to have again: what is taken from a queue was never seen before."""
        return self.place.died if self.queue and self.place.died is not None else self.seen.at

    def _set_moment(self, name: str, text: str, seconds: float) -> None:
        try:
            moment = datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError) as error:
            raise Unreadable(f"its {name} of {text} is too far away to be shifted") from error
        # Celery reads an eta without a zone in its own time, UTC unless it is told otherwise: the form is kept.
        new = moment.isoformat() if _aware(text) else moment.replace(tzinfo=None).isoformat()
        if self.first and self.arguments:
            self.arguments.set_field(name, new)
        else:
            self.patch.set_header(name, new)

    # -- ids -------------------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        new = self.policy.new_id(self.old_id)
        self._tell()
        self.done.id = new
        if new == self.old_id:
            return
        self.done.changes.append(ID)
        patch = self.patch
        if self.first:
            assert self.arguments is not None
            self.arguments.set_field("id", new)
        else:
            patch.set_header("id", new)
            for name in ("root_id", "parent_id"):
                self._renew_relative(name)
        if patch.property("correlation_id") == self.old_id:  # as Celery sends it
            patch.set("correlation_id", new)
        if not patch.text(PROVENANCE):
            patch.set_header(PROVENANCE, self.old_id)
        if self.arguments is not None and self.arguments.renew_steps(self.policy.new_id, self.old_id):
            self.done.changes.append(STEPS)

    def _renew_relative(self, name: str) -> None:
        """The root is the message itself, or one that is sent again too; any other keeps its id: a trace of it goes on
        to show this one."""
        old = self.patch.text(name)
        if old and (old == self.old_id or old in self.policy.renewed):
            self.patch.set_header(name, self.policy.new_id(old))

    def _tell(self) -> None:
        notes = self.done.notes
        if self.arguments is not None:
            notes += [f"{name} of {count} more" if name == "chain" else f"{count} {name}"
                      for name, count in self.arguments.steps.items()]  # fmt: skip
            if self.arguments.opaque:
                notes.append(f"steps that follow it are unknown: {self.arguments.opaque}")
        if self.patch.text("group"):
            notes.append("one of a group: a chord counts it again")

    # -- the rest --------------------------------------------------------------------------------------------------

    def _strip(self) -> None:
        patch, done, policy = self.patch, self.done, self.policy
        self._strip_reply()
        if not _HARMFUL.isdisjoint(patch.names()):
            for name in _HARMFUL.intersection(patch.names()):
                patch.set_header(name, None, remove=True)
                change = COPIES if name in _COPIES else DEATHS
                if change not in done.changes:
                    done.changes.append(change)
        if (user := patch.property("user_id")) is not None and user != policy.users.get(self.seen.broker):
            patch.set("user_id", None)
            done.changes.append(USER)
        if self.place.expiration and policy.expired == SHIFT:
            patch.set("expiration", self.place.expiration)
            done.changes.append(EXPIRY)

    def _strip_reply(self) -> None:
        """The caller waits no more: no answer to it, and no end of its patience, after which the message would vanish
        from its queue unseen."""
        patch, policy = self.patch, self.policy
        called = patch.property("reply_to") is not None
        if policy.reply_to and self.seen.broker == Mode.SYNC:
            patch.set("reply_to", policy.reply_to)
            patch.set("correlation_id", self.done.id)
            patch.set("expiration", str(max(1, round(policy.patience * 1000))))
            self.done.changes.append(REPLY)
        elif called:
            patch.set("reply_to", None)
            patch.set("correlation_id", None)
            self.done.changes.append(REPLY)
            if policy.expired != KEEP and patch.property("expiration") is not None:
                patch.set("expiration", None)
                self.done.changes.append(EXPIRY)

    def _encode(self, arguments: Arguments) -> None:
        self.body = arguments.encode()
        if self.edited:
            self.done.changes.append(ARGUMENTS)
            for name, text in arguments.reprs().items():
                if self.patch.header(name) is not None:
                    self.patch.set_header(name, text)


def move(message: Message, place: Place, user: str) -> Rewritten:
    """The message unchanged, elsewhere: without what would send copies of it, or let the broker refuse it."""
    try:
        patch = Patch(message.raw_properties)
        done = Rewritten(message, patch.text("id"))
        for name in {*_COPIES, "x-delivery-count"}.intersection(patch.names()):
            patch.set_header(name, None, remove=True)
            done.changes.append(DEATHS if name == "x-delivery-count" else COPIES)
        if (owner := patch.property("user_id")) is not None and owner != user:
            patch.set("user_id", None)
            done.changes.append(USER)
        done.become(_named(place), patch, message.body)
    except (ProtocolError, Unreadable) as error:
        return Rewritten(message, skip=str(error))
    return done


def _named(place: Place) -> Place:
    """The place. Raises `Unreadable` where no broker can be told of it: anything may have written a recording."""
    for name in (place.exchange, place.routing_key):
        if len(name) > _SURELY_SHORT or not name.isascii():
            try:
                encode_shortstr(name)
            except (ProtocolError, UnicodeEncodeError) as error:
                raise Unreadable("its exchange or routing key is none that AMQP can hold") from error
    return place


def _seconds(text: Value) -> float | None:
    """A moment of Celery's, in seconds since 1970; None when it is none. Without a zone it is UTC, Celery's default."""
    if not isinstance(text, str) or not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _aware(text: str) -> bool:
    return datetime.fromisoformat(text).tzinfo is not None
