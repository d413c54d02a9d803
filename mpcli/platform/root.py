"""Finding the platform's folder. Light: it is on the path of TAB."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

CONFIG_FILE = "mp.toml"
RUNTIME_FOLDER = ".mp"
# Holds the name that `mp context use` chose; plain text, because it is looked at by every command and on TAB.
CHOICE_FILE = "context"


def platform_root(start: Path | str) -> str:
    """The nearest folder, from `start` upwards, that holds mp.toml; empty when there is none."""
    folder = os.path.realpath(start)
    while not os.path.isfile(os.path.join(folder, CONFIG_FILE)):
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            return ""
    return folder


def choice_file(root: str) -> str:
    """Where the choice of `mp context use` is kept: in the platform, or outside of any for the user."""
    if root:
        return os.path.join(root, RUNTIME_FOLDER, CHOICE_FILE)
    return os.path.join(user_folder("XDG_CONFIG_HOME", ".config"), CHOICE_FILE)


def cache_folder(root: str) -> str:
    """Where the catalog is remembered, in the platform or outside of any for the user; safe to delete."""
    return os.path.join(root, RUNTIME_FOLDER, "cache") if root else user_folder("XDG_CACHE_HOME", ".cache")


def state_folder(root: str) -> str:
    """Where copies and journals are kept, in the platform or outside of any for the user."""
    if root:
        return os.path.join(root, RUNTIME_FOLDER)
    return user_folder("XDG_STATE_HOME", os.path.join(".local", "state"))


def user_folder(variable: str, default: str) -> str:
    """`mp`'s own folder of one kind, by the XDG base directory specification."""
    base = os.environ.get(variable, "")
    return os.path.join(base if os.path.isabs(base) else os.path.join(home_folder(), default), "mp")


def home_folder() -> str:
    """The user's home; one that cannot be for a user without, as containers have them: nothing is kept then."""
    home = os.path.expanduser("~")
    return home if os.path.isabs(home) else "/nonexistent"


def read_choice(root: str) -> str:
    """The name that `mp context use` chose; empty when it chose none."""
    try:
        with open(choice_file(root), encoding="utf-8") as stream:
            return stream.read(200).strip()
    except (OSError, UnicodeDecodeError):
        return ""
