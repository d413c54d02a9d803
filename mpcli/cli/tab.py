"""TAB, answered without typer: it must cost what bare Python costs, or nobody keeps it on.

The shell runs `mp __complete WORD ...` with the words behind `mp`, the unfinished one last, and reads a candidate on
each line, with a tab and a description behind it where there is one. bash, which takes words apart at `:` and `=`,
runs `mp __complete_line LINE BREAKS` with the line up to the cursor, and gets what is to be put behind the last break.
A candidate that ends in one of `OPEN` is not finished, and no space follows it.
"""

from __future__ import annotations

import os
import sys

from mpcli.cli.command_table import ARGUMENTS, COMMANDS, OPTIONS
from mpcli.platform.files import files

OPEN = ("=", ".", ":", "/", "@")
# With more services than this, their names are offered first and their tasks behind the dot.
_FEW_SERVICES = 8
_CHOICES = {
    "--as-code": "python|pytest|curl",
    "--broker": "auto|embedded|rabbitmq",
    "--example": "login|wallet",
    "SHELL": "bash|zsh|fish",
}


def main(argv: list[str]) -> int:
    """Print the candidates. Prints nothing rather than an error: TAB must not shout."""
    try:
        is_bash = argv[0] == "__complete_line"
        lines = for_bash(argv[1], argv[2]) if is_bash else candidates(argv[1:] or [""])
    except Exception:  # noqa: BLE001 - a broken mp.toml or file is told by the command, not by TAB
        return 0
    sys.stdout.flush()
    sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    return 0


def candidates(words: list[str]) -> list[str]:
    """What the last word can become, each with a tab and a description where there is one."""
    *before, unfinished = words
    path, rest = _command(before)
    option = rest[-1] if rest else ""
    if value_of := OPTIONS[path].get(option):
        return _values(option, value_of, unfinished, rest)
    if unfinished.startswith("-"):
        return _options(path, unfinished, rest)
    given = _words(path, rest)
    if path == "" or COMMANDS.get(path):
        return [] if given else _starting(COMMANDS[path] if path else COMMANDS, unfinished)
    return _argument(ARGUMENTS[path], given, unfinished, rest)


def _argument(wanted: tuple[str, ...], given: list[str], unfinished: str, rest: list[str]) -> list[str]:
    if not wanted or (len(given) >= len(wanted) and not wanted[-1].endswith("...")):
        return []
    kind = wanted[min(len(given), len(wanted) - 1)].removesuffix("...")
    if "--call" in rest[:-1]:
        return _items([rest[rest.index("--call") + 1]], unfinished)  # `mp trace --call TASK` takes the task's arguments
    return _items(given, unfinished) if kind == "ITEM" else _values("", kind, unfinished, rest)


def _command(before: list[str]) -> tuple[str, list[str]]:
    """The command (`record show`) and the words behind it; empty while it is not typed yet."""
    words = [word for word in before if word != "--debug"]
    if not words or words[0] not in COMMANDS:
        return "", words
    if len(words) > 1 and words[1] in COMMANDS[words[0]]:
        return f"{words[0]} {words[1]}", words[2:]
    return words[0], words[1:]


def _words(path: str, rest: list[str]) -> list[str]:
    """The words that are neither options nor their values."""
    kinds = OPTIONS[path]
    found: list[str] = []
    skip = False
    for word in rest:
        if skip or word.startswith("-"):
            skip = not skip and bool(kinds.get(word))
        else:
            found.append(word)
    return found


def _options(path: str, unfinished: str, rest: list[str]) -> list[str]:
    option, equals, value = unfinished.partition("=")
    if equals:
        kind = OPTIONS[path].get(option)
        return [f"{option}={one}" for one in _values(option, kind, value, rest)] if kind else []
    return [name for name in _starting(OPTIONS[path], unfinished) if name not in rest]


def _values(option: str, kind: str, unfinished: str, rest: list[str]) -> list[str]:
    if "|" not in kind:
        kind = "CONTEXT" if option == "--context" else _CHOICES.get(option) or _CHOICES.get(kind, kind)
    if "|" in kind:
        return _starting(kind.split("|"), unfinished)
    if kind in ("FILE", "DIR", "FOLDER", "PATH", "OTHER"):
        return files(unfinished)
    if kind in ("TASK", "PATTERN"):
        return _tasks(unfinished, _context(_root(), rest))
    source = _SOURCES.get(kind)
    return source(unfinished) if source else []


def _tasks(unfinished: str, context: str) -> list[str]:
    from mpcli.catalog import index

    root = _root()
    if root and "." not in unfinished:
        services = index.services(root, unfinished)
        if len(services) > _FEW_SERVICES:
            return [f"{name}.\t{' '.join(modes)}" for name, modes in services]
    found = {task.name: task.doc for task in index.live_tasks(root, context, unfinished)}
    if root:
        found.update((task.name, task.doc) for task in index.tasks(root, unfinished))
    return [f"{name}\t{doc}" if doc else name for name, doc in sorted(found.items())]


def _items(given: list[str], unfinished: str) -> list[str]:
    """Parameters that were not given yet; behind `name=@`, files; behind the `:=` of a bool, its values."""
    head, at, tail = unfinished.partition("=@")
    if at:
        return [f"{head}=@{file}" for file in files(tail)]
    from mpcli.catalog import index

    root = _root()
    task = index.lookup(root, given[0]) if root else None
    if task is None:
        live = index.live_tasks(root, _context(root, []), f"{given[0]}\t")
        task = live[0] if live else None
    items = task.items if task else []
    name, equals, _ = unfinished.partition(":=")
    if equals:
        is_bool = any(item == f"{name}:=" and about.startswith("bool") for item, about in items)
        return _starting([f"{name}:=true", f"{name}:=false"], unfinished) if is_bool else []
    begun = {word.partition("=")[0].rstrip(":") for word in given[1:]}
    return [
        f"{item}\t{about}" for item, about in items if item.startswith(unfinished) and item.rstrip("=:") not in begun
    ]


def _workers(unfinished: str) -> list[str]:
    return _starting([f"{name}.{mode}" for name, modes in _services() for mode in modes], unfinished)


def _queues(unfinished: str) -> list[str]:
    """Those of the services in the source and of those whose workers were seen, with no broker asked."""
    from mpcli.catalog import index

    root = _root()
    modes = {(name, mode) for name, known in _services() for mode in known}
    for task in index.live_tasks(root, _context(root, []), unfinished.partition(".")[0]):
        name, mode, _ = task.name.split(".", 2)
        modes.add((name, mode))
    names = {f"{name}.{mode}" for name, mode in modes} | {f"{name}.dead" for name, mode in modes if mode == "async"}
    return _starting(sorted(names), unfinished)


def _sources(unfinished: str) -> list[str]:
    return [*_queues(unfinished), *files(unfinished)]


def _service_names(unfinished: str) -> list[str]:
    return _starting([name for name, _ in _services()], unfinished)


def _contexts(unfinished: str) -> list[str]:
    from mpcli.platform.contexts import LOCAL, defined

    _, tables = defined(_root())
    known = {LOCAL: "what `mp up` runs", **{name: table.safety for name, table in tables.items()}}
    return [f"{name}\t{about}" for name, about in sorted(known.items()) if name.startswith(unfinished)]


_SOURCES = {
    "SERVICE.MODE": _workers,
    "WORKER": _workers,
    "QUEUE": _queues,
    "TARGET": _queues,
    "SOURCE": _sources,
    "SERVICE": _service_names,
    "CONTEXT": _contexts,
}


def _starting(names: object, unfinished: str) -> list[str]:
    assert isinstance(names, (list, tuple, dict))
    return [name for name in names if name.startswith(unfinished)]


def _services() -> list[tuple[str, list[str]]]:
    from mpcli.catalog import index

    root = _root()
    return index.services(root, "") if root else []


def _root() -> str:
    from mpcli.platform.root import platform_root

    return platform_root(os.getcwd())


def _context(root: str, rest: list[str]) -> str:
    """The context that the command will run in, as `mpcli.platform.contexts` chooses it."""
    if "--context" in rest[:-1]:
        return rest[rest.index("--context") + 1]
    from mpcli.platform.root import read_choice

    return os.environ.get("MP_CONTEXT") or read_choice(root) or "local"


def for_bash(line: str, breaks: str) -> list[str]:
    """What to put behind the last of bash's word breaks, quoted, with the space behind what is finished."""
    words, start = split(line)
    if start < 0:
        return []
    # readline replaces what is behind a break, and the @ too: it is one of its "special prefixes".
    cut = max((words[-1].rfind(sign) + (sign != "@") for sign in breaks if sign in ":=@"), default=0)
    cut = max(cut, 0)
    found = (one.partition("\t")[0] for one in candidates(words[1:]))
    return [_quoted(one[cut:]) + ("" if one.endswith(OPEN) else " ") for one in found]


def split(line: str) -> tuple[list[str], int]:
    """The line's words, as a shell would take them, and where the last one starts; -1 inside of quotes.

    Assignments in front of the command are dropped.
    """
    words, word, quote, start = [], "", "", 0
    position = 0
    while position < len(line):
        sign = line[position]
        if sign == "\\" and quote != "'" and position + 1 < len(line):
            position += 1
            word += line[position]
        elif quote or sign in "'\"":
            word, quote = (word, "" if quote else sign) if sign == quote or not quote else (word + sign, quote)
        elif sign in " \t":
            words += [word] if word else []
            word, start = "", position + 1
        else:
            word += sign
        position += 1
    words.append(word)
    while len(words) > 1 and "=" in words[0]:
        del words[0]
    return words, -1 if quote else start


def _quoted(text: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "_-+=:@%./,~" else f"\\{sign}" for sign in text)
