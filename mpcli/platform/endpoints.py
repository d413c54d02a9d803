"""Where the brokers are, seen from a folder: the environment first, then mp.toml, then what runs here.

This is on the path of every `mp call`, so it reads mp.toml through tomllib (25 ms with what that brings) only when a
line of it can matter, and nothing else of the platform.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from mpcli.bus.naming import DEFAULT_PREFIX, Mode, check_prefix
from mpcli.errors import BrokerUnreachable, ConfigError, NoPlatform
from mpcli.platform.state import read_state

_CONFIG_FILE = "mp.toml"
_RUNTIME_FOLDER = ".mp"


class Endpoint:
    """A broker's URL or URLs, and in `origin` where they came from, for people."""

    __slots__ = ("hint", "origin", "url")

    def __init__(self, url: str, origin: str, hint: str) -> None:
        self.url = url
        self.origin = origin
        # What to do when it does not answer.
        self.hint = hint


class Surroundings:
    """The platform that a folder lies in; `root` is empty where there is none. `prefix` begins its services' names."""

    __slots__ = ("_environ", "_urls", "prefix", "root")

    def __init__(self, root: str, prefix: str, urls: Mapping[Mode, str], environ: Mapping[str, str]) -> None:
        self.root = root
        self.prefix = prefix
        self._urls = urls
        self._environ = environ

    def endpoint(self, mode: Mode) -> Endpoint:
        """The broker of `mode`. Raises `NoPlatform` outside of any, `BrokerUnreachable` when nothing runs here."""
        variable = f"MP_{mode.upper()}_URL"
        if url := self._environ.get(variable):
            return Endpoint(url, variable, f"{variable} names it: is it running, and is the address right?")
        if not self.root:
            raise NoPlatform(
                f"no {_CONFIG_FILE} here or above: this is not a platform, and {variable} is not set",
                "run `mp new service mplogin` in an empty folder to begin one",
            )
        if url := self._urls.get(mode):
            return Endpoint(url, _CONFIG_FILE, f"{_CONFIG_FILE} names it: is it running, and is the address right?")
        return self._running(mode)

    def _running(self, mode: Mode) -> Endpoint:
        state = read_state(os.path.join(self.root, _RUNTIME_FOLDER))
        if state is None or not state.supervisor.alive or mode not in state.urls:
            raise BrokerUnreachable(
                f"no {mode} broker: the platform in {self.root} is not running", "`mp up` starts it"
            )
        hint = "`mp ps` shows what runs" if state.ready else "`mp up` is still starting it: try again in a moment"
        return Endpoint(state.urls[mode], "mp up", hint)


def surroundings(start: str, environ: Mapping[str, str] | None = None) -> Surroundings:
    """What `start` lies in. Raises `ConfigError` for an mp.toml that cannot be read."""
    environ = os.environ if environ is None else environ
    root = _find_root(start)
    prefix, urls = _settings(root) if root else (DEFAULT_PREFIX, {})
    return Surroundings(root, check_prefix(environ.get("MP_PREFIX") or prefix), urls, environ)


def _find_root(start: str) -> str:
    folder = os.path.realpath(start)
    while not os.path.isfile(os.path.join(folder, _CONFIG_FILE)):
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            return ""
    return folder


def _settings(root: str) -> tuple[str, Mapping[Mode, str]]:
    file = os.path.join(root, _CONFIG_FILE)
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}", "mend the file") from error
    if not _may_matter(text):
        return DEFAULT_PREFIX, {}
    from pathlib import Path

    from mpcli.platform.layout import load_platform

    platform = load_platform(Path(root))
    return platform.prefix, platform.urls


def _may_matter(text: str) -> bool:
    """Whether any line can set a prefix or a URL.

    A key stands on a line that does not begin with `#`, in so many letters or, quoted, with a backslash. So a False
    is certain; a True may be a false alarm.
    """
    return any(
        "prefix" in line or "_url" in line or "\\" in line
        for line in text.splitlines()
        if not line.lstrip().startswith("#")
    )
