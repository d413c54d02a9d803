"""Which contexts there are, and which one is worked in."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mpcli.bus.naming import Mode
from mpcli.catalog.nearest import nearest
from mpcli.errors import MpError, UsageError
from mpcli.platform.context_files import ContextTable
from mpcli.platform.contexts import FREE, LOCAL, Context, chosen, defined, resolve
from mpcli.platform.layout import load_platform
from mpcli.platform.root import choice_file, platform_root
from mpcli.wire.url import safe_url

Row = dict[str, object]
_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")


def contexts(start: Path) -> list[Row]:
    """Each context with its brokers (passwords hidden, variables unexpanded), safety, and whether it is worked in."""
    root = platform_root(start)
    current, _ = chosen(root, None, os.environ)
    _, tables = defined(root)
    local = resolve(start, LOCAL)
    rows = [_row(LOCAL, current, _local_urls(local), FREE, "", "mp up")]
    for name, table in sorted(tables.items()):
        urls = {mode: _as_written(table.urls[mode]) if mode in table.urls else "" for mode in Mode}
        rows.append(_row(name, current, urls, table.safety, table.colour, str(table.file)))
    return rows


def _as_written(urls: str) -> str:
    """A host that is nothing but a variable is no URL to hide a password in: its name is what is to be seen."""
    return ";".join(one if _VARIABLE.fullmatch(one.strip()) else safe_url(one) for one in urls.split(";"))


def _local_urls(local: Context) -> dict[Mode, str]:
    try:
        found = {mode: local.find(mode) for mode in Mode}
    except MpError:
        return dict.fromkeys(Mode, "")
    return {mode: safe_url(endpoint.url) if endpoint else "" for mode, endpoint in found.items()}


def _row(name: str, current: str, urls: dict[Mode, str], safety: str, colour: str, file: str) -> Row:
    return {
        "name": name,
        "current": name == current,
        "sync_url": urls[Mode.SYNC],
        "async_url": urls[Mode.ASYNC],
        "safety": safety,
        "colour": colour,
        "defined_in": file,
    }


def show(start: Path, name: str | None = None) -> Row:
    """One context, or the one that is worked in, as a command would use it. Raises `ConfigError`."""
    context = resolve(start, name)
    row = next((row for row in contexts(start) if row["name"] == context.name), {})
    return {**row, "chosen_by": context.chosen_by, "tls": context.tls, "root": context.root}


def use(start: Path, name: str) -> str:
    """Work in `name` from now on, in this platform, or outside of any for this user; return the file that says so.

    Raises `UsageError` for a context that is not defined; nothing is changed then.
    """
    root = platform_root(start)
    _, tables = defined(root)
    if name != LOCAL and name not in tables:
        raise _unknown(name, tables)
    file = Path(choice_file(root))
    if name == LOCAL:
        file.unlink(missing_ok=True)
        return str(file)
    if root:
        load_platform(Path(root)).make_runtime()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    temporary.write_text(f"{name}\n", encoding="utf-8")
    temporary.replace(file)
    return str(file)


def _unknown(name: str, tables: dict[str, ContextTable]) -> UsageError:
    meant = nearest(name, [LOCAL, *tables])
    hint = f"did you mean {meant}?" if meant else f"known: {', '.join([LOCAL, *sorted(tables)])}"
    return UsageError(f"there is no context {name!r}", hint)
