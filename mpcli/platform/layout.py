"""Finding a platform and the services in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mpcli.bus.naming import DEFAULT_PREFIX, Mode, check_prefix, check_service
from mpcli.errors import ConfigError, NoPlatform
from mpcli.platform.context_files import ContextTable, read_contexts
from mpcli.platform.toml_file import port, read_toml, refuse_unknown, text

CONFIG_FILE = "mp.toml"
RUNTIME_FOLDER = ".mp"
BROKERS = ("auto", "embedded", "rabbitmq")


@dataclass(frozen=True, slots=True)
class Service:
    """A generated or hand-written service: a folder whose pyproject.toml has `[tool.mpcli] service = "mplogin"`.

    `apps` gives the Celery application of each mode, as `celery -A` takes it; a mode that is absent has no worker.
    """

    name: str
    path: Path
    apps: dict[Mode, str]


@dataclass(frozen=True, slots=True)
class Platform:
    """The settings of `mp.toml`. A port is None when it was left to `mp`; URLs are set for remote brokers only,
    with their variables unexpanded (`mpcli.platform.expansion`). `contexts` are those of this file.
    """

    root: Path
    name: str
    prefix: str
    broker: str
    ports: dict[Mode, int | None]
    urls: dict[Mode, str]
    contexts: dict[str, ContextTable] = field(default_factory=dict)

    def remote_urls(self) -> dict[Mode, str]:
        """The brokers that somebody else runs, variables expanded. Raises `ConfigError` for one that is not set."""
        from mpcli.platform.expansion import expand

        return {mode: expand(url, f"broker.{mode}_url in {self.root / CONFIG_FILE}") for mode, url in self.urls.items()}

    @property
    def runtime(self) -> Path:
        """Where everything that runs keeps its files; safe to delete while nothing runs."""
        return self.root / RUNTIME_FOLDER

    def make_runtime(self) -> Path:
        """Create the runtime folder, private to its user and invisible to git, and return it."""
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        ignore = self.runtime / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        return self.runtime

    def services(self) -> list[Service]:
        """The services in the folders directly below the root, by name. Raises `ConfigError` for a broken one."""
        found = [
            service
            for file in sorted(self.root.glob("*/pyproject.toml"))
            if (service := read_service(file.parent, self.prefix)) is not None
        ]
        return sorted(found, key=lambda service: service.name)


def find_root(start: Path) -> Path:
    """The nearest folder, from `start` upwards, that holds `mp.toml`. Raises `NoPlatform`."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / CONFIG_FILE).is_file():
            return folder
    raise NoPlatform(
        f"no {CONFIG_FILE} in {start} or above: this is not a platform",
        "run `mp new service mplogin` in an empty folder to begin one",
    )


def load_platform(start: Path) -> Platform:
    """Read the platform that `start` lies in. Raises `NoPlatform` or `ConfigError`."""
    root = find_root(start)
    file = root / CONFIG_FILE
    data = read_toml(file)
    contexts = read_contexts(file, data.pop("context", {}))
    known = {
        "platform": {"name", "prefix"},
        "broker": {"provider", "sync_port", "async_port", "sync_url", "async_url"},
    }
    refuse_unknown(file, data, known)
    platform, broker = data.get("platform", {}), data.get("broker", {})
    prefix = check_prefix(text(file, platform, "prefix", DEFAULT_PREFIX))
    provider = text(file, broker, "provider", "auto")
    if provider not in BROKERS:
        raise ConfigError(f"{file}: broker.provider is {provider!r}", f"one of {', '.join(BROKERS)}")
    return Platform(
        root=root,
        name=text(file, platform, "name", root.name),
        prefix=prefix,
        broker=provider,
        ports={mode: port(file, broker, f"{mode}_port") for mode in Mode},
        urls={mode: url for mode in Mode if (url := text(file, broker, f"{mode}_url", ""))},
        contexts=contexts,
    )


def read_service(folder: Path, prefix: str = DEFAULT_PREFIX) -> Service | None:
    """The service in `folder`, or None when its pyproject.toml does not say that it is one."""
    file = folder / "pyproject.toml"
    table = read_toml(file).get("tool", {}).get("mpcli")
    if not isinstance(table, dict) or "service" not in table:
        return None
    name = check_service(text(file, table, "service", ""), prefix)
    apps = {mode: app for mode in Mode if (app := text(file, table, str(mode), ""))}
    if not apps:
        raise ConfigError(
            f"{file}: tool.mpcli names no app",
            f'for example sync = "{name}.apps:sync_app", as `celery -A` takes it',
        )
    return Service(name, folder, apps)
