"""Where the brokers are: the one way by which every command finds them.

A context is a name for two broker URLs and how careful to be with them. `local` is what `mp up` runs (or the remote
brokers under `[broker]` in mp.toml); others stand in mp.toml or in the user's configuration.

This is on the path of every `mp call`, so it reads mp.toml through tomllib (25 ms with what that brings) only when a
line of it can matter, and nothing else of the platform.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from mpcli.bus.naming import DEFAULT_PREFIX, Mode, check_prefix
from mpcli.errors import BrokerUnreachable, ConfigError, NoPlatform, SafetyRefusal
from mpcli.platform.root import CONFIG_FILE, RUNTIME_FOLDER, choice_file, platform_root, read_choice
from mpcli.platform.state import read_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from mpcli.platform.context_files import ContextTable
    from mpcli.platform.layout import Platform

LOCAL = "local"
FREE, CONFIRM, READONLY = "free", "confirm", "readonly"

Ask = Callable[[str], bool]


class Endpoint:
    """A broker's URL or URLs, and in `origin` where they came from, for people."""

    __slots__ = ("hint", "origin", "url")

    def __init__(self, url: str, origin: str, hint: str) -> None:
        self.url = url
        self.origin = origin
        # What to do when it does not answer.
        self.hint = hint


class Context:
    """Where to find the brokers, seen from a folder, and how careful to be with them.

    `root` is the platform's folder, empty where there is none; `prefix` begins its services' names. `safety` is free,
    confirm or readonly; `colour` one of the terminal's eight, or empty. `chosen_by` says where the name came from, and
    `file` which file defines it (None for `local`).
    """

    __slots__ = (
        *("_environ", "_management", "_templates", "chosen_by", "colour", "file", "name", "prefix", "root"),
        *("safety", "tls"),
    )

    def __init__(
        self,
        name: str,
        chosen_by: str,
        root: str,
        prefix: str,
        templates: Mapping[Mode, str],
        environ: Mapping[str, str],
    ) -> None:
        self.name = name
        self.chosen_by = chosen_by
        self.root = root
        self.prefix = prefix
        self.safety = FREE
        self.colour = ""
        self.tls: dict[str, str] = {}
        self.file: Path | None = None
        self._templates = templates
        self._management: Mapping[str, str] = {}
        self._environ = environ

    @property
    def runtime(self) -> str:
        """The platform's runtime folder; empty outside of a platform."""
        return os.path.join(self.root, RUNTIME_FOLDER) if self.root else ""

    @property
    def urls(self) -> dict[Mode, str]:
        """The brokers that are known now, by mode: for `local` none while nothing runs. Raises `ConfigError`."""
        return {mode: found.url for mode in Mode if (found := self.find(mode)) is not None}

    def endpoint(self, mode: Mode) -> Endpoint:
        """The broker of `mode`. Raises `NoPlatform` outside of any, `BrokerUnreachable` when nothing runs here,
        `ConfigError` for a context without it, with a variable that is not set, for an mp.toml that is broken."""
        found = self.find(mode)
        if found is not None:
            return found
        if self.file is not None:
            raise ConfigError(f"{self.file}: context.{self.name} has no {mode}_url", "add it; nothing was sent")
        if not self.root:
            raise NoPlatform(
                f"no {CONFIG_FILE} here or above: this is not a platform, and MP_{mode.upper()}_URL is not set",
                "run `mp new service mplogin` in an empty folder to begin one, or name a --context",
            )
        self._check_file()
        raise BrokerUnreachable(f"no {mode} broker: the platform in {self.root} is not running", "`mp up` starts it")

    def _check_file(self) -> None:
        """Raise `ConfigError` for an mp.toml that `mp up` would refuse: a broken one may be why nothing is known."""
        from pathlib import Path

        from mpcli.platform.layout import load_platform

        load_platform(Path(self.root))

    def find(self, mode: Mode) -> Endpoint | None:
        """The broker of `mode`, or None when there is none to be found. Raises `ConfigError`."""
        variable = f"MP_{mode.upper()}_URL"
        # A context that was named on the command line is meant; the environment is behind it.
        if self.chosen_by != "flag" and (url := self._environ.get(variable)):
            return Endpoint(url, variable, f"{variable} names it: is it running, and is the address right?")
        if self.file is not None:
            return self._of_file(mode)
        return self._local(mode)

    def management(self, mode: Mode) -> str:
        """The address of the broker's management API, `off`, or nothing when none was named. Raises `ConfigError`."""
        if self.chosen_by != "flag" and (address := self._environ.get(f"MP_{mode.upper()}_MANAGEMENT")):
            return address
        template = self._management.get(mode, "")
        if "$" not in template:
            return template
        from mpcli.platform.expansion import expand

        return expand(template, f"{mode}_management of context.{self.name} in {self.file}")

    def _of_file(self, mode: Mode) -> Endpoint | None:
        template = self._templates.get(mode)
        if template is None:
            return None
        from mpcli.platform.context_files import with_tls
        from mpcli.platform.expansion import expand

        where = f"context.{self.name} in {self.file}"
        tls = {key: expand(value, f"tls.{key} of {where}") for key, value in self.tls.items()}
        url = with_tls(expand(template, f"{mode}_url of {where}"), tls, where)
        return Endpoint(url, f"context {self.name}", f"context {self.name} names it: is the address right?")

    def _local(self, mode: Mode) -> Endpoint | None:
        if not self.root:
            return None
        state = read_state(self.runtime)
        if state is not None and mode in state.urls and state.supervisor.alive:
            hint = "`mp ps` shows what runs" if state.ready else "`mp up` is still starting it: try again in a moment"
            return Endpoint(state.urls[mode], "mp up", hint)
        template = self._templates.get(mode)
        if template is None:
            return None
        from mpcli.platform.expansion import expand

        url = expand(template, f"broker.{mode}_url in {os.path.join(self.root, CONFIG_FILE)}")
        return Endpoint(url, CONFIG_FILE, f"{CONFIG_FILE} names it: is it running, and is the address right?")


def resolve(start: Path | str = ".", context: str | None = None, environ: Mapping[str, str] | None = None) -> Context:
    """The context to work in: `context` (a flag), else MP_CONTEXT, else what `mp context use` chose, else `local`.

    `start` is the folder to look from. Raises `ConfigError` for an unknown context, for a file that cannot be read.
    """
    environ = os.environ if environ is None else environ
    root = platform_root(start)
    name, chosen_by = chosen(root, context, environ)
    if name == LOCAL:
        prefix, templates = _settings(root) if root else (DEFAULT_PREFIX, {})
        return Context(LOCAL, chosen_by, root, _prefix(environ, prefix), templates, environ)
    from mpcli.platform.context_files import tls_files

    platform, tables = defined(root)
    table = tables.get(name)
    if table is None:
        raise _unknown(name, chosen_by, tables)
    prefix = platform.prefix if platform else DEFAULT_PREFIX
    templates = {Mode(mode): url for mode, url in table.urls.items()}
    found = Context(name, chosen_by, root, _prefix(environ, prefix), templates, environ)
    found.safety, found.colour, found.tls, found.file = table.safety, table.colour, tls_files(table), table.file
    found._management = table.management
    return found


def chosen(root: str, context: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """The name of the context to work in, and who chose it: `flag`, the variable, a file, or `default`."""
    if context:
        return context, "flag"
    if name := environ.get("MP_CONTEXT"):
        return name, "MP_CONTEXT"
    if name := read_choice(root):
        return name, choice_file(root)
    return LOCAL, "default"


def defined(root: str) -> tuple[Platform | None, dict[str, ContextTable]]:
    """The platform at `root`, if any, and every context by name: its own, which go before, and the user's."""
    from mpcli.platform.context_files import user_contexts

    if not root:
        return None, user_contexts()
    from pathlib import Path

    from mpcli.platform.layout import load_platform

    platform = load_platform(Path(root))
    return platform, {**user_contexts(), **platform.contexts}


def allow_write(context: Context, what: str, yes: bool = False, ask: Ask | None = None) -> None:
    """Return when `what` (such as `purge mplogin.async`) may be done in this context; else raise `SafetyRefusal`.

    A `readonly` context never allows it. In a `confirm` one `yes` (a flag) does, or the person whom `ask` asks; without
    a terminal there is nobody to ask and `ask` is None.
    """
    if context.safety == READONLY:
        raise SafetyRefusal(
            f"context {context.name} is readonly: {what} is refused",
            f"nothing was changed; `safety` in {context.file} decides it",
        )
    if context.safety != CONFIRM or yes:
        return
    if ask is None:
        raise SafetyRefusal(
            f"context {context.name} asks before it lets anything be changed, and there is no terminal to ask on",
            f"to {what} in {context.name} all the same, add --yes",
        )
    if not ask(f"{what} in context {context.name}?"):
        raise SafetyRefusal(f"not confirmed: {what} in context {context.name}", "nothing was changed")


def _prefix(environ: Mapping[str, str], prefix: str) -> str:
    return check_prefix(environ.get("MP_PREFIX") or prefix)


def _unknown(name: str, chosen_by: str, known: Mapping[str, object]) -> ConfigError:
    said = "" if chosen_by == "flag" else f" (chosen by {chosen_by})"
    names = ", ".join([LOCAL, *sorted(known)])
    return ConfigError(f"there is no context {name!r}{said}", f"known: {names}; `mp context use {LOCAL}` goes back")


def _settings(root: str) -> tuple[str, Mapping[Mode, str]]:
    file = os.path.join(root, CONFIG_FILE)
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
    """Whether any line can set a prefix or a URL of the local brokers.

    A key stands on a line that does not begin with `#`, in so many letters or, quoted, with a backslash; the tables
    of contexts are left out. So a False is certain; a True may be a false alarm.
    """
    if "\\" in text or '"""' in text or "'''" in text:
        return True
    in_context = False
    for line in text.splitlines():
        line = line.strip()  # noqa: PLW2901 - the line, without its indentation
        if line.startswith("["):
            in_context = line.startswith("[context.")
        elif not in_context and not line.startswith("#") and ("prefix" in line or "_url" in line):
            return True
    return False
