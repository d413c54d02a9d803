"""Layers of templates, rendered: what is announced is what is written."""

import tomllib
from pathlib import Path

import pytest

from mpcli.errors import InvalidName, MpError, UsageError
from mpcli.scaffold import templates
from mpcli.scaffold.rendering import render
from mpcli.scaffold.service import service_rendering
from mpcli.scaffold.templates import Rendering

TASKS = ("sync.register(user_obj: dict) -> dict", 'async.mail(to: str = "{{ 7 * 7 }}")')
KINDS = [("", ()), ("login", ()), ("wallet", ()), ("", TASKS)]


def written(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("example", "tasks"), KINDS)
def test_the_files_announced_are_the_files_written(tmp_path: Path, example: str, tasks: tuple[str, ...]) -> None:
    rendering = service_rendering("mpshop", "mp", tasks, example)

    render(rendering, tmp_path)

    assert written(tmp_path) == rendering.files()
    assert not [path for path in tmp_path.rglob("*") if "cookiecutter" in path.name]


@pytest.mark.parametrize(("example", "tasks"), KINDS)
def test_everything_is_derived_from_the_name(tmp_path: Path, example: str, tasks: tuple[str, ...]) -> None:
    folder = render(service_rendering("acaccounts", "ac", tasks, example), tmp_path)

    for file in folder.rglob("*"):
        text = file.read_text() if file.is_file() else ""
        assert "mplogin" not in text
        assert "mpwallet" not in text
        assert "cookiecutter" not in text


def test_the_answers_are_kept_for_a_later_upgrade(tmp_path: Path) -> None:
    folder = render(service_rendering("mpshop", "mp", TASKS), tmp_path)

    kept = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["mpcli"]["scaffold"]

    assert kept["template"] == "service"
    assert kept["version"] == templates.template_version("service")
    again = service_rendering("mpshop", kept["prefix"], tuple(kept["tasks"]), kept["example"])
    assert again == service_rendering("mpshop", "mp", TASKS)


def test_answers_are_never_rendered_as_templates(tmp_path: Path) -> None:
    folder = render(service_rendering("mpshop", "mp", TASKS), tmp_path)

    assert 'to: str = "{{ 7 * 7 }}"' in (folder / "mpshop" / "async_tasks.py").read_text()


def test_a_path_that_the_template_language_would_evaluate_is_refused(tmp_path: Path) -> None:
    odd = tmp_path / "{{ 7 * 7 }}"
    odd.mkdir()

    with pytest.raises(UsageError, match="template language"):
        render(service_rendering("mpshop"), odd)
    assert list(odd.iterdir()) == []


def test_nothing_is_written_into_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    render(Rendering(("platform",), "shop", {"platform": "shop"}), tmp_path / "out")

    assert list((tmp_path / "home").iterdir()) == []


def test_bytecode_and_modes_of_an_installation_do_not_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = next(templates.templates_root().joinpath("platform").glob("{{*"))
    copied = tmp_path / "scaffolds" / "platform"
    top = copied / source.name
    (top / "__pycache__").mkdir(parents=True)
    (top / "__pycache__" / "apps.cpython-311.pyc").write_bytes(b"\0\xff")
    (copied / "cookiecutter.json").write_text((source.parent / "cookiecutter.json").read_text())
    (top / "mp.toml").write_text("[platform]\n")
    (top / "mp.toml").chmod(0o444)
    monkeypatch.setattr("mpcli.scaffold.rendering.templates_root", lambda: tmp_path / "scaffolds")
    monkeypatch.setattr("mpcli.scaffold.templates.templates_root", lambda: tmp_path / "scaffolds")
    rendering = Rendering(("platform",), "shop", {"platform": "shop"})

    folder = render(rendering, tmp_path / "out")

    assert written(tmp_path / "out") == rendering.files() == ["shop/mp.toml"]
    assert (folder / "mp.toml").stat().st_mode & 0o200


def test_missing_templates_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpcli.__file__", str(tmp_path / "mpcli" / "__init__.py"))

    with pytest.raises(MpError, match="templates are missing"):
        templates.templates_root()


@pytest.mark.parametrize("name", ["login", "mp", "MpLogin", "mp-login", ""])
def test_a_name_outside_the_grammar_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        service_rendering(name)


def test_the_hint_is_a_name_that_is_one() -> None:
    with pytest.raises(InvalidName) as caught:
        service_rendering("login")
    assert "mplogin" in caught.value.hint


@pytest.mark.parametrize(("name", "prefix"), [("mpcli", "mp"), ("tests", "te"), ("json", "js")])
def test_a_name_that_would_hide_a_package_is_refused(name: str, prefix: str) -> None:
    with pytest.raises(InvalidName, match="name of a Python package"):
        service_rendering(name, prefix)


def test_an_example_has_its_own_tasks() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        service_rendering("mplogin", "mp", TASKS, "login")
    with pytest.raises(UsageError, match="no example 'shop'"):
        service_rendering("mplogin", "mp", (), "shop")
