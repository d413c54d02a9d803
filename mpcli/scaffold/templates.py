"""Where the templates are, what they will write, and which layers make up one kind of service."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mpcli
from mpcli.errors import MpError

# A service is rendered layer over layer into one folder; a later layer adds files to those of the ones before.
SERVICE_LAYERS: dict[str, tuple[str, ...]] = {
    "journal": ("service", "examples/storage", "examples/journal"),
    "login": ("service", "examples/storage", "examples/login"),
    "wallet": ("service", "examples/storage", "examples/wallet"),
    "stubs": ("service", "task"),
}
EXAMPLES = ("login", "wallet")
_VARIABLES = ("service", "platform")


@dataclass(frozen=True, slots=True)
class Rendering:
    """What to render: the layers, the name of the folder that they fill, and the answers that they are filled with."""

    layers: tuple[str, ...]
    folder: str
    answers: dict[str, object] = field(default_factory=dict)

    def files(self) -> list[str]:
        """The files that rendering writes, relative to the folder's parent. Nothing is rendered or written."""
        return sorted({f"{self.folder}/{file}" for layer in self.layers for file in _files(layer, self.folder)})


def templates_root() -> Path:
    """The folder `scaffolds`: inside an installed package, or beside it in a checkout and an editable install."""
    package = Path(mpcli.__file__).resolve().parent
    for folder in (package / "_scaffolds", package.parent / "scaffolds"):
        if (folder / "service").is_dir():
            return folder
    raise MpError(
        f"the templates are missing: neither {package}/_scaffolds nor {package.parent}/scaffolds holds them",
        "install mpcli again",
    )


def template_version(layer: str) -> str:
    """The version of a template, as its cookiecutter.json states it; raised by whoever changes what it renders."""
    data = json.loads((templates_root() / layer / "cookiecutter.json").read_text(encoding="utf-8"))
    return str(data["_version"])


def _files(layer: str, folder: str) -> Iterator[str]:
    (top,) = (templates_root() / layer).glob("{{cookiecutter.*")
    for parent, folders, files in os.walk(top):
        # An installer compiles the templates that happen to be valid Python; that is no part of them.
        folders[:] = [name for name in folders if name != "__pycache__"]
        for file in files:
            path = Path(parent, file).relative_to(top).as_posix()
            for variable in _VARIABLES:
                path = path.replace(f"{{{{cookiecutter.{variable}}}}}", folder)
            yield path
