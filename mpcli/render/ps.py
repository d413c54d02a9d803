"""What runs, as a table."""

from __future__ import annotations

from mpcli.render.columns import print_columns
from mpcli.render.console import print_json, print_line, print_note
from mpcli.render.escape import escape_line
from mpcli.verbs.ps import PlatformStatus
from mpcli.words import rounded

_HEADLINES = {
    "down": "{platform} is down: `mp up` starts it",
    "starting": "{platform} is starting, supervised by pid {supervisor}",
    "ready": "{platform} is up on {broker}, supervised by pid {supervisor}",
    "impaired": "{platform} runs in part: a process has ended; `mp down && mp up` starts it anew",
    "dead": "the supervisor of {platform} (pid {supervisor}) was killed; `mp down` or `mp up` ends what is left",
}


def show_status(status: PlatformStatus, as_json: bool) -> None:
    """Print the platform's processes."""
    if as_json:
        from dataclasses import asdict

        told = rounded(asdict(status))
        print_json({**told, "processes": [rounded(asdict(process)) for process in status.processes]})
        return
    headline = _HEADLINES[status.state].format(
        platform=status.platform, supervisor=status.supervisor, broker=status.broker
    )
    (print_note if status.state in ("dead", "impaired") else print_line)(escape_line(headline))
    if status.processes:
        _print_table(status)


def _print_table(status: PlatformStatus) -> None:
    rows = []
    for process in status.processes:
        texts = process.name, str(process.pid), process.state, duration(process.uptime)
        rows.append([escape_line(text) for text in (*texts, size(process.memory), process.url)])
    print_columns(("name", "pid", "state", "up", "memory", "url"), rows, whole=4, least=7)


def duration(seconds: float | None) -> str:
    """`42s`, `3m12s`, `5h02m`, `2d03h`."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole // 60 % 60:02}m"
    return f"{whole // 86400}d{whole // 3600 % 24:02}h"


def size(count: int | None) -> str:
    """Bytes as mebibytes, which is what processes are measured in."""
    return "" if count is None else f"{count / 2**20:.0f} MiB"
