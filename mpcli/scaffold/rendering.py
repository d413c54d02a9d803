"""Rendering templates with cookiecutter: its generators alone, which know no network, no prompt and no home folder.

The whole of `cookiecutter()` writes a replay file into the home folder on each run and costs 460 ms of imports;
`generate_files` costs 140 ms, and is imported when there is something to render.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mpcli.errors import UsageError
from mpcli.scaffold.templates import Rendering, templates_root


def render(rendering: Rendering, output: Path) -> Path:
    """Render every layer into `output` and return the folder it became. Raises `OSError` when the disk says no."""
    # cookiecutter renders the path of the output folder too: a folder named {{ 7*7 }} would be evaluated.
    if any(sign in str(output) for sign in ("{{", "{%", "{#")):
        raise UsageError(f"cannot render in {output}: its path holds a sign of the template language", "rename it")
    from cookiecutter.generate import generate_context, generate_files

    for layer in rendering.layers:
        template = templates_root() / layer
        context = generate_context(str(template / "cookiecutter.json"), extra_context=dict(rendering.answers))
        generate_files(template, context, output, overwrite_if_exists=True, accept_hooks=False)
    _tidy(output / rendering.folder)
    return output / rendering.folder


def _tidy(folder: Path) -> None:
    """Drop bytecode that an installer left among the templates, and make read-only installations writable."""
    for parent, folders, files in os.walk(folder):
        if "__pycache__" in folders:
            folders.remove("__pycache__")
            shutil.rmtree(Path(parent, "__pycache__"))
        for file in files:
            path = Path(parent, file)
            path.chmod(path.stat().st_mode | 0o200)
