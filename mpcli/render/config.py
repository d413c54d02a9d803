"""Settings as a table."""

from __future__ import annotations

from mpcli.platform.settings import Setting
from mpcli.render.console import print_json, rich_console
from mpcli.render.escape import escape_line


def show_settings(settings: list[Setting], as_json: bool) -> None:
    """One row for each; as JSON one object for each, in a list."""
    if as_json:
        print_json([setting.as_dict() for setting in settings])
        return
    from rich import box
    from rich.table import Table

    table = Table("setting", "value", "source", "where", box=box.SIMPLE_HEAD, pad_edge=False)
    for setting in settings:
        table.add_row(*map(escape_line, (setting.name, setting.value, setting.source, setting.where)))
    rich_console().print(table)
