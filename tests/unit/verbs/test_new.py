"""Where a platform begins, where a service goes, and what is refused before anything is written."""

from pathlib import Path

import pytest

from mpcli.errors import ConfigError, InvalidName, UsageError
from mpcli.platform.layout import load_platform
from mpcli.platform.root import user_folder
from mpcli.verbs.new import new_platform, new_service


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_empty_folder_becomes_a_platform(tmp_path: Path) -> None:
    made = new_service(tmp_path, "mplogin")

    assert names(tmp_path) == [".gitignore", "mp.toml", "mplogin"]
    platform = load_platform(tmp_path)
    assert (platform.name, platform.prefix, platform.broker) == (tmp_path.name, "mp", "auto")
    assert [service.name for service in platform.services()] == ["mplogin"]
    assert ".mp/" in (tmp_path / ".gitignore").read_text().split()
    assert made.undo == "rm -r mplogin mp.toml .gitignore"
    assert [file for file in made.files if not (tmp_path / file).is_file()] == []


def test_inside_a_platform_a_service_goes_to_the_root(tmp_path: Path) -> None:
    new_service(tmp_path, "mplogin", example="login")

    made = new_service(tmp_path / "mplogin" / "tests", "mpwallet", example="wallet")

    assert names(tmp_path) == [".gitignore", "mp.toml", "mplogin", "mpwallet"]
    assert made.root == tmp_path
    assert made.undo == "rm -r ../../mpwallet"
    assert [service.name for service in load_platform(tmp_path).services()] == ["mplogin", "mpwallet"]


def test_a_platform_with_a_prefix_of_its_own(tmp_path: Path) -> None:
    new_platform(tmp_path, "shop", prefix="ac")

    with pytest.raises(InvalidName) as caught:
        new_service(tmp_path / "shop", "login")
    assert "aclogin" in caught.value.hint
    made = new_service(tmp_path / "shop", "aclogin", example="login")
    assert made.next[0] == "mp new service acwallet --example wallet"
    assert load_platform(tmp_path / "shop").name == "shop"


def test_a_dry_run_lists_the_same_files_and_writes_nothing(tmp_path: Path) -> None:
    planned = new_service(tmp_path, "mplogin", dry_run=True)
    assert names(tmp_path) == []

    assert new_service(tmp_path, "mplogin").files == planned.files
    assert new_platform(tmp_path, "shop", dry_run=True).files == ["shop/.gitignore", "shop/mp.toml"]
    assert "shop" not in names(tmp_path)


@pytest.mark.parametrize("taken", ["file", "folder", "link"])
def test_what_is_there_is_never_touched(tmp_path: Path, taken: str) -> None:
    place = tmp_path / "mplogin"
    {"file": place.touch, "folder": place.mkdir, "link": lambda: place.symlink_to("nowhere")}[taken]()

    for make in (lambda: new_service(tmp_path, "mplogin"), lambda: new_platform(tmp_path, "mplogin")):
        with pytest.raises(UsageError, match="exists already"):
            make()
    assert names(tmp_path) == ["mplogin"]


def test_files_of_the_platform_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")

    made = new_service(tmp_path, "mplogin")

    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert ".gitignore" not in made.files
    assert ".mp/ belongs into it" in made.notes[0]
    assert made.undo == "rm -r mplogin mp.toml"


def test_a_name_that_a_renamed_folder_serves_already_is_refused(tmp_path: Path) -> None:
    new_service(tmp_path, "mplogin")
    (tmp_path / "mplogin").rename(tmp_path / "login")

    with pytest.raises(UsageError, match=r"has a service mplogin already, in .*login"):
        new_service(tmp_path, "mplogin")


def test_a_service_without_a_platform_does_not_become_one(tmp_path: Path) -> None:
    new_service(tmp_path, "mplogin")
    (tmp_path / "mp.toml").unlink()

    with pytest.raises(UsageError, match="is the service mplogin"):
        new_service(tmp_path / "mplogin", "mpwallet")


def test_a_home_folder_in_use_does_not_become_a_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "Documents").mkdir()

    with pytest.raises(UsageError, match="not the place for a platform"):
        new_service(tmp_path, "mplogin")
    assert names(tmp_path) == ["Documents"]


def test_a_user_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container runs one that no file of users knows: no folder is named `~`."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)
    assert user_folder("MP_NOT_SET", ".config") == "/nonexistent/.config/mp"
    assert new_service(tmp_path, "mplogin").files


def test_a_broken_platform_is_told_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "mp.toml").write_text("[platform]\nprefix = 1\n")

    with pytest.raises(ConfigError):
        new_service(tmp_path, "mplogin")
    assert names(tmp_path) == ["mp.toml"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "-x", "a b", "a\n", "x" * 65])
def test_a_platform_name_is_a_plain_folder_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidName, match="not a platform's name"):
        new_platform(tmp_path, name)
    assert names(tmp_path) == []
