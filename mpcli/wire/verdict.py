"""What it means when a published task comes to nothing: one wording for a single call, an open line and a batch."""

from __future__ import annotations

from mpcli.bus.naming import TaskName
from mpcli.errors import BrokerRefused, BrokerUnreachable, MpError, NobodyListens, NoReply, UnknownService
from mpcli.wire.incoming import Incoming
from mpcli.wire.methods import BASIC_RETURN, CHANNEL_CLOSE
from mpcli.wire.refusal import NO_ROUTE, NOT_FOUND, channel_refusal
from mpcli.wire.url import BrokerUrl


def undelivered(url: BrokerUrl, name: TaskName, incoming: Incoming) -> MpError | None:
    """The error when the broker gives a publish back or closes the channel for it; None when it is something else."""
    if incoming.method is BASIC_RETURN:
        code, text = incoming.values[:2]
        if code != NO_ROUTE:
            return BrokerRefused(f"the broker at {url.address} returned {name}: {code} {text}")
        return UnknownService(
            f"{name.service} has no queue for {name}: its exchange exists, but takes no {name.mode} tasks",
            f"does {name.service} have {name.mode} tasks at all, and was a worker of {name.queue} ever started?",
        )
    if incoming.method is CHANNEL_CLOSE:
        code, text = int(str(incoming.values[0])), str(incoming.values[1])
        if code == NOT_FOUND and "exchange" in text:
            return UnknownService(
                f"there is no service {name.service} on the {name.mode} broker at {url.address}",
                "`mp tasks` lists what this platform has; a service that never ran is not known to the broker: `mp up`",
            )
        return channel_refusal(url, code, text)
    return None


def unbound(name: TaskName) -> UnknownService:
    """A publish came back although the queue is there."""
    return UnknownService(
        f"the queue {name.queue} exists, but is not bound to the exchange {name.exchange}: {name} went nowhere",
        "start a worker of it, or `mp up`: that binds it",
    )


def nobody_listens(name: TaskName, timeout: float) -> NobodyListens:
    """No reply in `timeout` seconds, and the queue has no consumer."""
    return NobodyListens(
        f"no reply from {name} in {timeout:g} s: nobody is listening on {name.queue}",
        f"start a worker: `mp worker {name.queue}` or `mp up`; this call has expired and will not run later",
    )


def unexplained(name: TaskName, timeout: float, error: MpError) -> NoReply:
    """No reply in `timeout` seconds, and the question why failed too."""
    begun = f"no reply from {name} in {timeout:g} s"
    if isinstance(error, BrokerUnreachable):
        return NoReply(f"{begun}, and the broker does not answer either: {error.message}", error.hint)
    return NoReply(f"{begun}: {error.message}", error.hint)


def held_back(name: TaskName, timeout: float, reason: str) -> NoReply:
    """No reply in `timeout` seconds, for the broker blocks publishers."""
    return NoReply(
        f"no reply from {name} in {timeout:g} s: the broker takes no messages ({reason})", "free its memory or disk"
    )


def not_kept(url: BrokerUrl, name: TaskName) -> BrokerRefused:
    """The broker answered a publish with `basic.nack`."""
    return BrokerRefused(f"the broker at {url.address} could not keep {name}", "see its log")


def unconfirmed(url: BrokerUrl, name: TaskName, wait: float, blocked: str) -> BrokerUnreachable:
    """No confirm in `wait` seconds; `blocked` is the broker's reason when it blocks publishers."""
    why = f": it takes no messages ({blocked})" if blocked else ""
    error = BrokerUnreachable(
        f"the broker at {url.address} did not confirm {name} in {wait:g} s{why}",
        "it may or may not have the message: look before you send it again",
    )
    error.uncertain = True
    return error
