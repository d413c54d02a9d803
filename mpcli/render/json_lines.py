"""The stream of messages as JSON Lines; what is usual is put together from text that is there already.

`message_as_dict` says what a line holds. Building that mapping and encoding it again costs three times what the usual
message needs: its arguments are JSON already, its other fields are text, null or a number.
"""

from __future__ import annotations

import json
import sys

from mpcli.render.message import Parameters, dumps, message_as_dict, outcome_as_dict
from mpcli.render.secrets import harmless, is_secret
from mpcli.verbs.seen import Outcome, Seen
from mpcli.wire.codec import plain
from mpcli.wire.message import Message
from mpcli.wire.tap_events import Dropped, Exchange, Gap, Lost
from mpcli.words import iso

# The C function behind json.dumps, without its dispatch; pure ASCII, controls and DEL escaped.
_quote = json.encoder.encode_basestring_ascii
# A sender of random routing keys must not fill our memory.
_MAX_ROUTES = 4096


class Json:
    """JSON Lines: `kind` tells messages, outcomes and what is missing apart."""

    def __init__(self, full: bool) -> None:
        self._full = full
        self._at = 0.0
        self._start = ""
        self._routes: dict[tuple[str, str, str], str] = {}
        self._parameters: Parameters = {}
        self._secret: set[str] = set()

    @property
    def parameters(self) -> Parameters:
        """The names of each task's parameters, to mask positional arguments by."""
        return self._parameters

    @parameters.setter
    def parameters(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._secret = {task for task, names in parameters.items() if any(map(is_secret, names))}

    def item(self, item: Seen | Outcome) -> str:
        """The line of a message or an outcome, with its end."""
        if isinstance(item, Seen):
            line = None if self._full else self._usual(item)
            return line or dumps(message_as_dict(item, self.parameters, self._full)) + "\n"
        return dumps(outcome_as_dict(item)) + "\n"

    def _usual(self, seen: Seen) -> str | None:
        """The line of a task of protocol 2 with plain JSON in its body and nothing to mask; None for any other."""
        view, message = seen.view, seen.message
        arguments = view.copyable() if seen.kind == "task" else None
        if arguments is None:
            return None
        (args, args_text), (kwargs, kwargs_text) = arguments
        if not (harmless(args) and harmless(kwargs)):
            return None
        get = view.headers.get
        task = seen.task  # the routing key tells it where the header is empty
        if task in self._secret:
            return None
        if seen.at != self._at:
            self._at, self._start = seen.at, f'{{"kind": "message", "at": {_quote(iso(seen.at))}, "broker": '
        route = self._routes.get((message.exchange, message.routing_key, task)) or self._route(message, task)
        return (
            f"{self._start}{_quote(seen.broker)}{route}{_quote(view.id)}"
            f', "root_id": {_json(get("root_id"))}, "parent_id": {_json(get("parent_id"))}'
            f', "args": {args_text}, "kwargs": {kwargs_text}, "retries": {_json(view.retries)}'
            f', "eta": {_json(get("eta"))}, "expires": {_json(get("expires"))}, "origin": {_json(get("origin"))}'
            f', "protocol": 2, "content_type": "application/json", "size": {len(message.body)}}}\n'
        )

    def _route(self, message: Message, task: str) -> str:
        """What the messages of one route and task share."""
        if len(self._routes) >= _MAX_ROUTES:
            self._routes.clear()
        exchange, key = message.exchange, message.routing_key
        text = f', "exchange": {_quote(exchange)}, "routing_key": {_quote(key)}, "task": {_quote(task)}, "id": '
        self._routes[exchange, key, task] = text
        return text

    def notice(self, event: Dropped | Lost | Gap | Exchange) -> None:
        """Tell what is missing from the stream."""
        line: dict[str, object] = {"kind": type(event).__name__.lower(), "at": iso(event.at), "broker": event.broker}
        if isinstance(event, Dropped):
            line |= {"count": event.count, "exact": event.exact}
        elif isinstance(event, Lost):
            line["reason"] = event.reason
        elif isinstance(event, Gap):
            line |= {"since": iso(event.since), "seconds": round(event.at - event.since, 6)}
        else:
            line |= {"exchange": event.name, "there": event.there}
        sys.stdout.write(dumps(line) + "\n")
        sys.stdout.flush()


def _json(value: object) -> str:
    """A field, most often text or null."""
    if value is None:
        return "null"
    return _quote(value) if isinstance(value, str) else dumps(plain(value))
