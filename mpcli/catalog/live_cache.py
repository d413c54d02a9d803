"""What the workers of a context said when they were last asked, so that an offline list is not an empty one.

Never an authority: what comes from here says so and since when. May be deleted; one that cannot be read is absent.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from mpcli.bus.naming import Mode
from mpcli.catalog.indexing import replace_lines, task_line
from mpcli.catalog.live import Live, LiveTask, live_task
from mpcli.platform.root import cache_folder

_VERSION = 1


def remember(root: str, context: str, live: Live) -> None:
    """Replace what is known of the modes whose brokers answered; keep the rest."""
    if not live.modes:
        return
    before = recall(root, context)
    kept = {
        name: task
        for name, task in (before.tasks.items() if before else ())
        if not any(f".{mode}." in name for mode in live.modes)
    }
    tasks = {**kept, **live.tasks}
    data = {"version": _VERSION, "at": live.at, "tasks": [task.as_dict() for task in tasks.values()]}
    with suppress(OSError):
        folder = cache_folder(root)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        replace_lines(os.path.join(folder, f"live.{context}.json"), [json.dumps(data)])
        replace_lines(os.path.join(folder, f"live.{context}"), (task_line(_for_index(task)) for task in tasks.values()))


def recall(root: str, context: str) -> Live | None:
    """What was remembered, or None."""
    try:
        with open(os.path.join(cache_folder(root), f"live.{context}.json"), encoding="utf-8") as stream:
            data = json.load(stream)
        if data["version"] != _VERSION:
            return None
        live = Live()
        live.at = float(data["at"])
        live.tasks = {str(fields["name"]): live_task(str(fields["name"]), fields) for fields in data["tasks"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    live.modes = {
        Mode(name.split(".")[1]) for name in live.tasks if name.count(".") == 2 and name.split(".")[1] in set(Mode)
    }
    return live


def _for_index(task: LiveTask) -> dict[str, object]:
    return {"name": task.name, "doc": task.doc, "returns": task.returns, "parameters": task.parameters}
