"""Complete or not at all, and what is there is never touched."""

import signal
import sys
from pathlib import Path
from types import FrameType

import pytest

from mpcli.errors import MpError, UsageError
from mpcli.scaffold.placing import place, refuse_existing, staging


def stage(root: Path) -> None:
    (root / "mplogin").mkdir()
    (root / "mplogin" / "file").write_text("new")
    (root / "mp.toml").write_text("new")


def test_everything_is_moved_and_the_staging_folder_is_gone(tmp_path: Path) -> None:
    with staging(tmp_path) as folder:
        stage(folder)
        place(folder, tmp_path, ["mp.toml", "mplogin"])

    assert sorted(path.name for path in tmp_path.iterdir()) == ["mp.toml", "mplogin"]
    assert (tmp_path / "mplogin" / "file").read_text() == (tmp_path / "mp.toml").read_text() == "new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interruption_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def interrupted() -> None:
        with staging(tmp_path) as folder:
            stage(folder)
            raise error

    with pytest.raises((KeyboardInterrupt, MpError)):
        interrupted()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", ["_claim call", "_claim return", "place return"])
def test_ctrl_c_as_it_is_placed_leaves_nothing_or_all(tmp_path: Path, moment: str) -> None:
    def press(frame: FrameType, event: str, _argument: object) -> None:
        if f"{frame.f_code.co_name} {event}" == moment:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    def interrupted() -> None:
        with staging(tmp_path) as folder:
            stage(folder)
            sys.setprofile(press)
            place(folder, tmp_path, ["mp.toml", "mplogin"])

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sys.getprofile() is None  # it was pressed
    there = sorted(path.name for path in tmp_path.iterdir())
    assert there == (["mp.toml", "mplogin"] if moment == "place return" else [])


def test_a_full_disk_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(MpError, match="No space left on device") as caught, staging(tmp_path):
        raise OSError(28, "No space left on device")
    assert "nothing was changed" in caught.value.hint


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_appears_in_the_last_moment_stays_and_the_rest_is_taken_back(tmp_path: Path, is_folder: bool) -> None:
    rival = tmp_path / "mplogin"
    with staging(tmp_path) as folder:
        stage(folder)
        rival.mkdir() if is_folder else rival.write_text("theirs")
        with pytest.raises(UsageError, match="exists already"):
            place(folder, tmp_path, ["mp.toml", "mplogin"])

    assert list(tmp_path.iterdir()) == [rival]
    assert is_folder or rival.read_text() == "theirs"


def test_a_dangling_link_counts_as_taken(tmp_path: Path) -> None:
    (tmp_path / "mplogin").symlink_to("nowhere")

    with pytest.raises(UsageError, match="exists already"):
        refuse_existing(tmp_path, ["mp.toml", "mplogin"])
