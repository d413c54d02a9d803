"""Making a platform, or a service in one: complete, or not at all."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from mpcli.bus.naming import DEFAULT_PREFIX, check_prefix
from mpcli.errors import InvalidName, NoPlatform, UsageError
from mpcli.platform.layout import CONFIG_FILE, find_root, load_platform, read_service
from mpcli.platform.root import home_folder
from mpcli.scaffold.placing import place, refuse_existing, staging
from mpcli.scaffold.rendering import render
from mpcli.scaffold.service import service_rendering
from mpcli.scaffold.templates import Rendering

_PLATFORM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_IGNORE_FILE = ".gitignore"


@dataclass(frozen=True, slots=True)
class Created:
    """What was made, or would be: its files, relative to `root`; the commands to go on with and to undo it."""

    kind: str
    name: str
    root: Path
    files: list[str]
    next: list[str]
    undo: str
    notes: list[str]
    dry_run: bool

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {field: getattr(self, field) for field in self.__slots__} | {"root": str(self.root)}


def new_platform(start: Path, name: str, prefix: str = DEFAULT_PREFIX, dry_run: bool = False) -> Created:
    """Make a folder `name` in `start` with an empty platform in it. Raises `UsageError` when that is taken."""
    if not _PLATFORM_NAME.fullmatch(name):
        raise InvalidName(
            f"{name!r} is not a platform's name: letters, digits, dots, dashes and underscores, at most 64",
            f"did you mean {_suggest_platform(name)}?",
        )
    check_prefix(prefix)
    rendering = Rendering(("platform",), name, {"platform": name, "prefix": prefix, "named": "yes"})
    refuse_existing(start, [name])
    if not dry_run:
        with staging(start) as folder:
            render(rendering, folder)
            place(folder, start, [name])
    steps = [f"cd {name}", f"mp new service {prefix}login --example login"]
    return Created("platform", name, start, rendering.files(), steps, f"rm -r {name}", [], dry_run)


def new_service(
    start: Path, name: str, tasks: tuple[str, ...] = (), example: str = "", dry_run: bool = False
) -> Created:
    """Make a service in the platform around `start`; where there is none, make `start` one.

    `tasks` are signatures such as `sync.register(user_obj: dict) -> dict`; `example` is `login` or `wallet`. Raises
    `UsageError` before anything is written, `MpError` when the disk refuses, and then nothing was written either.
    """
    root, prefix, services = _platform(start)
    rendering = service_rendering(name, prefix, tasks, example)
    if name in services:
        raise UsageError(f"the platform has a service {name} already, in {services[name]}", "choose another name")
    refuse_existing(root, [name])
    frame = [] if (root / CONFIG_FILE).exists() else _frame(root)
    if not dry_run:
        _write(root, rendering, frame)
    return Created(
        kind="service",
        name=name,
        root=root,
        files=frame + rendering.files(),
        next=_next_steps(root, start, rendering, services),
        undo=shlex.join(["rm", "-r", *(os.path.relpath(root / made, start) for made in [name, *frame])]),
        notes=_notes(root, frame),
        dry_run=dry_run,
    )


def _platform(start: Path) -> tuple[Path, str, dict[str, Path]]:
    """The root of the platform around `start`, or `start` itself; its prefix; its services' folders."""
    try:
        find_root(start)
    except NoPlatform:
        _check_can_become_platform(start)
        return start, DEFAULT_PREFIX, {}
    platform = load_platform(start)
    return platform.root, platform.prefix, {service.name: service.path for service in platform.services()}


def _check_can_become_platform(start: Path) -> None:
    """A home folder or a service's own folder is hardly meant to hold services."""
    if (start / "pyproject.toml").exists() and (service := read_service(start)) is not None:
        raise UsageError(
            f"{start} is the service {service.name}, and no platform holds it", "run this in the folder above"
        )
    if start in (Path(home_folder()), Path(start.anchor)) and any(
        not entry.name.startswith(".") for entry in start.iterdir()
    ):
        raise UsageError(
            f"{start} is not the place for a platform", "run `mp new platform NAME`, or begin in an empty folder"
        )


def _frame(root: Path) -> list[str]:
    """The platform's own files that `root` lacks."""
    return [file for file in (CONFIG_FILE, _IGNORE_FILE) if not os.path.lexists(root / file)]


def _write(root: Path, rendering: Rendering, frame: list[str]) -> None:
    with staging(root) as folder:
        render(rendering, folder)
        if frame:
            around = render(Rendering(("platform",), "frame", {"platform": "frame", "named": ""}), folder / "platform")
            for file in frame:
                (around / file).rename(folder / file)
        # The frame first: a power cut between the two leaves an empty platform, to which the service can be added.
        place(folder, root, [*frame, rendering.folder])


def _notes(root: Path, frame: list[str]) -> list[str]:
    if CONFIG_FILE in frame and _IGNORE_FILE not in frame:
        return [f"{root / _IGNORE_FILE} was there and was left alone; .mp/ belongs into it"]
    return []


def _next_steps(root: Path, start: Path, rendering: Rendering, services: dict[str, Path]) -> list[str]:
    name, wallet = rendering.folder, str(rendering.answers["wallet"])
    calls = {
        "journal": [f"mp call {name}.async.record_event name=started", f"mp call {name}.sync.recent_events"],
        "stubs": [f"mp tasks {name}"],
        "wallet": [f"mp call {name}.sync.open owner=ada"],
        "login": [f"""mp call {name}.sync.register user_obj:='{{"email": "ada@example.org"}}'"""],
    }
    steps = calls[str(rendering.answers["kind"])]
    before = ["mp up -d"]
    if rendering.answers["kind"] == "login" and wallet not in services:
        before.insert(0, f"mp new service {wallet} --example wallet")
    tests = f"cd {shlex.quote(os.path.relpath(root / name, start))} && pip install -e '.[test]' && python -m pytest"
    return [*before, *steps, tests]


def _suggest_platform(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-._")[:64] or "shop"
