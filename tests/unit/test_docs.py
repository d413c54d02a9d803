"""The documentation is true to the tree: links lead somewhere, commands exist, dependencies are explained."""

import re
import tomllib
from pathlib import Path

import pytest

from mpcli.cli.command_table import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    broken = [t for t in targets if not t.startswith("http") and not (page.parent / t).exists()]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    blocks = "\n".join(re.findall(r"```(?:console|sh)\n(.*?)```", page.read_text(), re.DOTALL))
    typed = re.findall(r"(?:^\$ |&& |bin/)mp ([a-z]+)", blocks, re.MULTILINE)
    assert not [command for command in typed if command not in COMMANDS]


def test_every_page_is_linked_once() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = [str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")]
    assert not [page for page in pages if page != "index.md" and index.count(f"({page})") != 1]


def test_every_variable_is_listed() -> None:
    """MP_RUN is between `mp up` and its own processes."""
    sources = "\n".join(path.read_text() for path in (ROOT / "mpcli").rglob("*.py"))
    read = set(re.findall(r"\"(MP_[A-Z_]*[A-Z])\"", sources)) - {"MP_RUN"}
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    assert "MP_DEBUG" in read
    assert not [name for name in sorted(read) if f"`{name}`" not in page]


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    page = (ROOT / "docs" / "explanation" / "dependencies.md").read_text()
    names = [re.split(r"[<>=\[]", requirement)[0] for requirement in wanted]
    assert not [name for name in names if name not in page]


def test_every_test_that_a_page_names_exists() -> None:
    named = {name for page in PAGES for name in re.findall(r"`(test_[a-z0-9_]+)`", page.read_text())}
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert "test_a_hostile_recording" in named
    assert not [name for name in sorted(named) if f"def {name}(" not in tests]
