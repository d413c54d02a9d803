"""The tasks of a service, read from its source with `ast`. Nothing is imported, so a service that is broken, or
whose dependencies are not installed here, or that is hostile, can be read all the same.

What is found: functions decorated with the `task` of one of the service's apps (as its pyproject.toml names them),
under their own name; and any decorator with a literal `name="mplogin.sync.register"`, as a plain Celery app has it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from mpcli.bus.naming import Mode, TaskName
from mpcli.catalog.index import TASKS, stamp
from mpcli.catalog.indexing import write_index, write_services, write_stamps
from mpcli.errors import InvalidName
from mpcli.platform.root import cache_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from pathlib import Path

    from mpcli.platform.layout import Platform, Service

# Folders that never hold a service's own tasks; a virtual environment alone can hold 10,000 files.
_SKIPPED = frozenset({"tests", "test", "build", "dist", "node_modules", "__pycache__", "site-packages", "venv"})
_CACHE_VERSION = 2
CACHE_FILE = "source.json"

# By service and path: the stamp of a file or folder, and the tasks in it.
Files = dict[str, tuple[str, list[dict[str, Any]]]]


class SourceTask:
    """A task as its source states it. `parameters` are dicts with name, kind, annotation, default, required."""

    __slots__ = ("doc", "file", "line", "name", "parameters", "returns")

    def __init__(
        self, name: str, parameters: list[dict[str, object]], returns: str | None, doc: str, file: str, line: int
    ) -> None:
        self.name = name
        self.parameters = parameters
        self.returns = returns
        self.doc = doc
        self.file = file
        self.line = line

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {field: getattr(self, field) for field in self.__slots__}


def scan_platform(platform: Platform) -> list[SourceTask]:
    """Every task in the source of every service of the platform, by name.

    What was read is remembered in the platform's runtime folder by each file's time and size, with an index for TAB
    (`mpcli.catalog.index`); it is an aid and never an authority: it may be deleted, and one that cannot be read or
    written is done without.
    """
    folder = cache_folder(str(platform.root))
    with suppress(OSError):
        platform.make_runtime()  # first: it changes the stamp of the platform's folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
    own = list(_platform_stamps(platform))
    cache = _read_cache(os.path.join(folder, CACHE_FILE))
    services = platform.services()
    seen: Files = {}
    tasks = [task for service in services for task in _scan(service, cache, seen)]
    _remember(folder, services, own, seen, changed=seen != cache)
    return sorted(tasks, key=lambda task: task.name)


def _platform_stamps(platform: Platform) -> Iterator[tuple[str, str, str]]:
    """What changes when a service comes or goes: the root, mp.toml, and folders that are no service yet."""
    root = str(platform.root)
    for path in (root, os.path.join(root, "mp.toml")):
        yield "", path, stamp(os.stat(path))
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir() and not entry.name.startswith("."):
                if os.path.exists(file := os.path.join(entry.path, "pyproject.toml")):
                    yield entry.name, file, stamp(os.stat(file))
                else:
                    yield "", entry.path, stamp(entry.stat())


def _remember(
    folder: str, services: list[Service], own: list[tuple[str, str, str]], seen: Files, changed: bool
) -> None:
    names = {os.path.basename(service.path): service.name for service in services}
    stamps = [(names.get(directory, ""), path, then) for directory, path, then in own]
    stamps += [(*key.split(":", 1), known[0]) for key, known in seen.items()]  # type: ignore[misc] # two halves
    try:
        if changed or not os.path.exists(os.path.join(folder, TASKS)):
            _write_cache(os.path.join(folder, CACHE_FILE), seen)
            write_index(folder, (fields for known in seen.values() for fields in known[1]))
        else:
            os.utime(os.path.join(folder, TASKS))
        write_services(folder, services)
        write_stamps(folder, stamps)
    except OSError:
        return  # a full disk or a read-only folder: the next scan reads the sources again


def scan_service(service: Service) -> list[SourceTask]:
    """Every task in the source of one service, by name."""
    return sorted(_scan(service, {}, {}), key=lambda task: task.name)


def _scan(service: Service, cache: Files, seen: Files) -> Iterator[SourceTask]:
    for path, then, is_folder in _source_files(service.path):
        key = f"{service.name}:{path}"
        known = cache.get(key)
        if known is None or known[0] != then:
            known = (then, [] if is_folder else [task.as_dict() for task in _read_file(path, service)])
        seen[key] = known
        for fields in known[1]:
            yield SourceTask(**fields)


def _source_files(folder: str | Path) -> Iterator[tuple[str, str, bool]]:
    """Folders and Python files at and below `folder`, with a stamp that changes when they do."""
    yield str(folder), stamp(os.stat(folder)), True
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in _SKIPPED:
                    yield from _source_files(entry.path)
            elif entry.name.endswith(".py") and entry.is_file():
                yield entry.path, stamp(entry.stat()), False


def _read_file(path: str, service: Service) -> list[SourceTask]:
    """The tasks in one file; none when it cannot be parsed, as while it is being edited."""
    import ast

    try:
        with open(path, "rb") as file:
            source = file.read()
        if b"task" not in source:
            return []
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    apps = _app_names(tree, service)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = _task_name(node, apps, service)
            if name is not None:
                found.append(_task(name, node, path))
    return found


def _app_names(tree: ast.Module, service: Service) -> dict[str, Mode]:
    """By which names this module knows the service's apps: their own, and any `import ... as` of them."""
    import ast

    own = {app.rpartition(":")[2].rpartition(".")[2]: mode for mode, app in service.apps.items()}
    names = dict(own)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names.update({alias.asname: own[alias.name] for alias in node.names if alias.asname and alias.name in own})
    return names


def _task_name(
    node: ast.FunctionDef | ast.AsyncFunctionDef, apps: dict[str, Mode], service: Service
) -> TaskName | None:
    for decorator in node.decorator_list:
        literal, mode = _decorator(decorator, apps)
        try:
            if literal is not None:
                name = TaskName.parse(literal, prefix="")
            elif mode is not None:
                name = TaskName.parse(f"{service.name}.{mode}.{node.name}", prefix="")
            else:
                continue
        except InvalidName:
            continue
        if name.service == service.name:
            return name
    return None


def _decorator(decorator: ast.expr, apps: dict[str, Mode]) -> tuple[str | None, Mode | None]:
    """The literal `name=` of a task decorator, and the mode of the app whose `.task` it is."""
    import ast

    literal = None
    if isinstance(decorator, ast.Call):
        for keyword in decorator.keywords:
            if (
                keyword.arg == "name"
                and isinstance(keyword.value, ast.Constant)
                and isinstance(keyword.value.value, str)
            ):
                literal = keyword.value.value
        decorator = decorator.func
    if isinstance(decorator, ast.Attribute) and decorator.attr == "task":
        owner = decorator.value
        app = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
        return literal, apps.get(app)
    if isinstance(decorator, ast.Name) and decorator.id == "shared_task":
        return literal, None
    return None, None


def _task(name: TaskName, node: ast.FunctionDef | ast.AsyncFunctionDef, path: str) -> SourceTask:
    import ast

    return SourceTask(
        name=str(name),
        parameters=list(_parameters(node)),
        returns=ast.unparse(node.returns) if node.returns else None,
        doc=ast.get_docstring(node) or "",
        file=path,
        line=node.lineno,
    )


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[dict[str, object]]:
    """The function's parameters; the first one of a bound task (`bind=True`) is the task itself and left out."""
    arguments = node.args
    positional = arguments.posonlyargs + arguments.args
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    bound = 1 if _is_bound(node) else 0
    for index, (argument, default) in enumerate(zip(positional, defaults, strict=True)):
        if index < bound:
            continue
        kind = "POSITIONAL_ONLY" if index < len(arguments.posonlyargs) else "POSITIONAL_OR_KEYWORD"
        yield _parameter(argument, kind, default)
    if arguments.vararg:
        yield _parameter(arguments.vararg, "VAR_POSITIONAL", None)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(argument, "KEYWORD_ONLY", default)
    if arguments.kwarg:
        yield _parameter(arguments.kwarg, "VAR_KEYWORD", None)


def _is_bound(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    import ast

    return any(
        isinstance(decorator, ast.Call)
        and any(
            keyword.arg == "bind" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
            for keyword in decorator.keywords
        )
        for decorator in node.decorator_list
    )


def _parameter(argument: ast.arg, kind: str, default: ast.expr | None) -> dict[str, object]:
    import ast

    return {
        "name": argument.arg,
        "kind": kind,
        "annotation": ast.unparse(argument.annotation) if argument.annotation else None,
        "default": ast.unparse(default) if default is not None else None,
        "required": default is None and not kind.startswith("VAR_"),
    }


def _read_cache(file: str) -> Files:
    try:
        with open(file, encoding="utf-8") as stream:
            data = json.load(stream)
        if data["version"] != _CACHE_VERSION:
            return {}
        files = {str(key): (str(then), list(tasks)) for key, (then, tasks) in data["files"].items()}
        for _, tasks in files.values():
            for fields in tasks:
                SourceTask(**fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return files


def _write_cache(file: str, files: Files) -> None:
    temporary = f"{file}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as stream:
        # dumps and not dump: the latter writes piece by piece, at four times the cost.
        stream.write(json.dumps({"version": _CACHE_VERSION, "files": files}, separators=(",", ":")))
    os.replace(temporary, file)
