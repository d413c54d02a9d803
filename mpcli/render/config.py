"""Settings as a table."""

from __future__ import annotations

from mpcli.platform.settings import Setting
from mpcli.render.columns import print_columns
from mpcli.render.console import print_json
from mpcli.render.escape import escape_line


def show_settings(settings: list[Setting], as_json: bool) -> None:
    """One row for each; as JSON one object for each, in a list."""
    if as_json:
        print_json([setting.as_dict() for setting in settings])
        return
    texts = ((setting.name, setting.value, setting.source, setting.where) for setting in settings)
    print_columns(("setting", "value", "source", "where"), [list(map(escape_line, row)) for row in texts], least=12)
