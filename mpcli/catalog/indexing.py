"""Writing the index that `mpcli.catalog.index` reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

from mpcli.catalog.index import FIELD, PART, SERVICES, STAMPS, TASKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mpcli.platform.layout import Service

_TEXT = frozenset({"str", "str | None", "None | str", "Optional[str]", "typing.Optional[str]"})


def write_index(folder: str, tasks: Iterable[Mapping[str, object]]) -> None:
    """A line for each task. Raises `OSError`."""
    replace_lines(os.path.join(folder, TASKS), map(task_line, tasks))


def write_services(folder: str, services: Iterable[Service]) -> None:
    """A line for each service, with its modes. Raises `OSError`."""
    lines = (f"{service.name}\t{' '.join(service.apps)}" for service in services)
    replace_lines(os.path.join(folder, SERVICES), lines)


def write_stamps(folder: str, stamps: Iterable[tuple[str, str, str]]) -> None:
    """A line for each path that was looked at: service (empty for the platform's own), path, stamp."""
    # A path that cannot stand on a line would be taken for a changed one at every TAB: it is not watched.
    lines = ("\t".join(fields) for fields in stamps if not set("\t\n") & set(fields[1]))
    replace_lines(os.path.join(folder, STAMPS), lines)


def task_line(task: Mapping[str, object]) -> str:
    """The task as one line of the index."""
    parameters = task["parameters"]
    assert parameters is None or isinstance(parameters, list)
    where = f"{task['file']}:{task['line']}" if task.get("file") else ""
    fields = (
        str(task["name"]),
        _first_line(task["doc"]),
        _first_line(task["returns"]),
        where,
        _items(parameters or []),
    )
    return "\t".join((*(" ".join(field.split("\t")) for field in fields), json.dumps(parameters)))


def item(parameter: Mapping[str, object]) -> str:
    """How the parameter is begun on the command line: `email=` for text, `age:=` for JSON; empty when it cannot be."""
    if parameter["kind"] not in ("POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY"):
        return ""
    annotation = parameter["annotation"]
    return f"{parameter['name']}{'=' if annotation is None or annotation in _TEXT else ':='}"


def _items(parameters: list[Mapping[str, object]]) -> str:
    parts = []
    for parameter in parameters:
        if begun := item(parameter):
            default = "" if parameter["default"] is None else f" = {parameter['default']}"
            described = _first_line(f"{parameter['annotation'] or 'anything'}{default}")
            parts.append(f"{begun}{FIELD}{described}")
    return PART.join(parts)


def _first_line(text: object) -> str:
    """One line, without the signs that divide the index."""
    line = str(text or "").strip().partition("\n")[0]
    return "".join(sign if sign.isprintable() else " " for sign in line)


def replace_lines(file: str, lines: Iterable[str]) -> None:
    """Write the lines sorted as bytes, so that a reader sees the old file or the new one and never a part."""
    data = sorted(line.encode("utf-8", "backslashreplace") for line in lines)
    temporary = f"{file}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(b"".join(line + b"\n" for line in data))
    os.replace(temporary, file)
