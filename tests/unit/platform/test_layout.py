"""Reading `mp.toml` and finding services; anything odd is refused with the file's name and the key."""

from pathlib import Path

import pytest

from mpcli.bus.naming import Mode
from mpcli.errors import ConfigError, InvalidName, NoPlatform
from mpcli.platform.layout import load_platform


def _service(root: Path, folder: str, table: str) -> None:
    (root / folder).mkdir()
    (root / folder / "pyproject.toml").write_text(table)


def test_the_platform_is_found_from_any_folder_in_it(tmp_path: Path) -> None:
    (tmp_path / "mp.toml").write_text("")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    platform = load_platform(deep)
    assert (platform.root, platform.prefix, platform.broker) == (tmp_path.resolve(), "mp", "auto")
    assert platform.ports == {Mode.SYNC: None, Mode.ASYNC: None}


def test_no_platform(tmp_path: Path) -> None:
    with pytest.raises(NoPlatform) as caught:
        load_platform(tmp_path)
    assert "mp new service" in caught.value.hint


def test_services_are_the_folders_that_say_so(tmp_path: Path) -> None:
    (tmp_path / "mp.toml").write_text('[platform]\nname = "shop"\n[broker]\nsync_port = 6000\n')
    _service(tmp_path, "b", '[tool.mpcli]\nservice = "mpwallet"\nsync = "w:s"\nasync = "w:a"\n')
    _service(tmp_path, "a", '[tool.mpcli]\nservice = "mplogin"\nasync = "l:a"\n')
    _service(tmp_path, "website", '[project]\nname = "website"\n')
    platform = load_platform(tmp_path)
    assert platform.name == "shop"
    assert platform.ports[Mode.SYNC] == 6000
    assert [(s.name, s.apps) for s in platform.services()] == [
        ("mplogin", {Mode.ASYNC: "l:a"}),
        ("mpwallet", {Mode.SYNC: "w:s", Mode.ASYNC: "w:a"}),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[platform", "mp.toml"),
        ("[plattform]\n", "plattform"),
        ("[platform]\nprefx = 'mp'\n", "platform.prefx"),
        ("[platform]\nname = 3\n", "name"),
        ("[broker]\nprovider = 'kafka'\n", "kafka"),
        ("[broker]\nsync_port = 70000\n", "sync_port"),
        ("[broker]\nsync_port = true\n", "sync_port"),
        ("name = 'x'\n", "name"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mp.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_platform(tmp_path)
    assert said in caught.value.message


def test_a_bad_prefix(tmp_path: Path) -> None:
    (tmp_path / "mp.toml").write_text('[platform]\nprefix = "My"\n')
    with pytest.raises(InvalidName):
        load_platform(tmp_path)


def test_a_service_without_an_app(tmp_path: Path) -> None:
    (tmp_path / "mp.toml").write_text("")
    _service(tmp_path, "a", '[tool.mpcli]\nservice = "mplogin"\n')
    with pytest.raises(ConfigError, match="names no app"):
        load_platform(tmp_path).services()


def test_the_runtime_folder_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    (tmp_path / "mp.toml").write_text("")
    folder = load_platform(tmp_path).make_runtime()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
