"""Sending recorded or waiting messages again: planned, confirmed, journaled, each one accounted for."""

from mpcli.verbs.replay.choice import Choice
from mpcli.verbs.replay.planning import Plan, Planned
from mpcli.verbs.replay.run import Replayed, Way
from mpcli.verbs.replay.running import move, replay
from mpcli.verbs.replay.sending import NotSent, Sent
from mpcli.verbs.replay.summary import Summary
from mpcli.verbs.replay.waiting import Ended

__all__ = ["Choice", "Ended", "NotSent", "Plan", "Planned", "Replayed", "Sent", "Summary", "Way", "move", "replay"]
