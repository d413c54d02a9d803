"""What is prepared and said before anything runs."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mpcli.brokers.choose import provider
from mpcli.brokers.rabbitmq.provider import RabbitMQProvider
from mpcli.bus.naming import Mode
from mpcli.errors import BrokerUnavailable, ConfigError
from mpcli.platform.processes import AmqpPort, TcpPort

PORTS = {Mode.SYNC: 25681, Mode.ASYNC: 25682}


def install(folder, monkeypatch, version="3.10.8"):
    for command in ("rabbitmq/sbin/rabbitmq-server", "bin/erl", "bin/epmd"):
        file = folder / command
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    for application in (f"rabbit-{version}", "ra-2.2.0", f"rabbitmq_prelaunch-{version}", f"rabbitmq_mqtt-{version}"):
        (folder / "rabbitmq/plugins" / application / "ebin").mkdir(parents=True)
    for name in [name for name in os.environ if name.startswith(("RABBITMQ_", "ERL_")) or name == "NOTIFY_SOCKET"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RABBITMQ_HOME", str(folder / "rabbitmq"))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    return folder / "rabbitmq"


@pytest.fixture
def home(tmp_path, monkeypatch):
    return install(tmp_path / "machine", monkeypatch)


def mode_of(file: Path) -> int:
    return file.stat().st_mode & 0o777


def test_the_port_mapper_first_then_a_node_for_each_mode(home, tmp_path):
    plan = RabbitMQProvider().plan(tmp_path / "brokers", PORTS)
    assert [(spec.name, spec.stage) for spec in plan.processes] == [
        ("rabbitmq.epmd", 0),
        ("rabbitmq.sync", 1),
        ("rabbitmq.async", 1),
    ]
    epmd, sync, async_ = plan.processes
    assert isinstance(epmd.ready, TcpPort)
    assert (sync.ready, async_.ready) == (AmqpPort("127.0.0.1", 25681), AmqpPort("127.0.0.1", 25682))
    assert sync.argv[-1] == str(home / "sbin/rabbitmq-server")


def test_nodes_share_nothing_but_port_mapper_and_home(home, tmp_path):
    _, sync, async_ = RabbitMQProvider().plan(tmp_path / "brokers", PORTS).processes
    shared = {name for name in sync.env if sync.env[name] == async_.env[name]}
    assert shared == {
        "HOME",
        "ERL_EPMD_PORT",
        "ERL_EPMD_ADDRESS",
        "ERL_INETRC",
        "ERL_AFLAGS",
        "RABBITMQ_CONF_ENV_FILE",
        "RABBITMQ_LOG",
        "RABBITMQ_SERVER_START_ARGS",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
        "detached",
    }


def test_secrets_are_private_and_stay_the_same(home, tmp_path):
    folder = tmp_path / "brokers"
    first = RabbitMQProvider().plan(folder, PORTS)
    cookie = (folder / "home/.erlang.cookie").read_text()
    again = RabbitMQProvider().plan(folder, PORTS)
    assert again.urls == first.urls
    assert (folder / "home/.erlang.cookie").read_text() == cookie
    assert mode_of(folder / "home/.erlang.cookie") == 0o400
    assert mode_of(folder / "password") == 0o600
    assert mode_of(folder / "sync/rabbitmq.conf") == 0o600
    assert mode_of(folder / "sync") == mode_of(folder / "home") == 0o700
    password = urlsplit(first.urls[Mode.SYNC]).password
    for spec in first.processes:
        told = " ".join((*spec.argv, *spec.env.values()))
        assert cookie not in told
        assert password not in told


def test_two_platforms_have_two_passwords(home, tmp_path):
    urls = [RabbitMQProvider().plan(tmp_path / name, PORTS).urls[Mode.SYNC] for name in ("one", "two")]
    assert len({urlsplit(url).password for url in urls}) == 2


def test_ports_that_are_chosen_are_free_and_differ(home, tmp_path):
    epmd, sync, async_ = RabbitMQProvider().plan(tmp_path / "brokers", PORTS).processes
    chosen = {int(epmd.ready.port), int(sync.env["RABBITMQ_DIST_PORT"]), int(async_.env["RABBITMQ_DIST_PORT"])}
    assert len(chosen) == 3
    for port in chosen:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_settings_for_another_node_are_dropped(home, tmp_path, monkeypatch):
    monkeypatch.setenv("RABBITMQ_ENABLED_PLUGINS", "rabbitmq_management")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("RABBITMQ_NODENAME", "rabbit@here")
    _, sync, _ = RabbitMQProvider().plan(tmp_path / "brokers", PORTS).processes
    dropped = [value for option, value in zip(sync.argv, sync.argv[1:], strict=False) if option == "-u"]
    assert dropped == ["NOTIFY_SOCKET", "RABBITMQ_ENABLED_PLUGINS", "RABBITMQ_HOME"]
    assert sync.env["RABBITMQ_NODENAME"] == "mp-sync@localhost"


def test_the_short_way_to_start_names_the_core_last(home, tmp_path):
    _, sync, _ = RabbitMQProvider().plan(tmp_path / "brokers", PORTS).processes
    paths = sync.env["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"].split("-pa ")[1:]
    assert [Path(path.strip()).parent.name for path in paths] == [
        "ra-2.2.0",
        "rabbitmq_prelaunch-3.10.8",
        "rabbit-3.10.8",
    ]
    assert [entry.name for entry in Path(sync.env["RABBITMQ_PLUGINS_DIR"]).iterdir()] == ["rabbit-3.10.8"]


def test_after_an_upgrade_of_the_release_the_new_core_is_linked(home, tmp_path):
    RabbitMQProvider().plan(tmp_path / "brokers", PORTS)
    (home / "plugins/rabbit-3.10.8").rename(home / "plugins/rabbit-3.11.0")
    RabbitMQProvider().plan(tmp_path / "brokers", PORTS)
    links = list((tmp_path / "brokers/sync/plugins").iterdir())
    assert [link.resolve() for link in links] == [home / "plugins/rabbit-3.11.0"]


def test_a_line_of_releases_that_was_not_tried_starts_the_ordinary_way(tmp_path, monkeypatch):
    install(tmp_path / "machine", monkeypatch, version="4.1.0")
    _, sync, _ = RabbitMQProvider().plan(tmp_path / "brokers", PORTS).processes
    assert "RABBITMQ_PLUGINS_DIR" not in sync.env
    assert "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS" not in sync.env


def test_a_folder_that_cannot_be_written_is_named(home, tmp_path):
    (tmp_path / "brokers").write_text("a file")
    with pytest.raises(BrokerUnavailable, match=str(tmp_path / "brokers")):
        RabbitMQProvider().plan(tmp_path / "brokers", PORTS)


def test_nothing_is_written_when_there_is_no_rabbitmq(home, tmp_path, monkeypatch):
    monkeypatch.setenv("RABBITMQ_HOME", str(tmp_path))
    with pytest.raises(BrokerUnavailable):
        RabbitMQProvider().plan(tmp_path / "brokers", PORTS)
    assert not (tmp_path / "brokers").exists()


def test_providers_are_chosen_by_name():
    assert isinstance(provider("rabbitmq"), RabbitMQProvider)
    with pytest.raises(ConfigError, match="'docker'"):
        provider("docker")
