"""Which RabbitMQ is taken, in the layouts that packages give it."""

from __future__ import annotations

import pytest

from mpcli.brokers.rabbitmq.installation import find_installation
from mpcli.errors import BrokerUnavailable


def executable(file, text="#!/bin/sh\nexit 99\n"):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return file


def release(home, version, core="rabbit-{}"):
    executable(home / "sbin/rabbitmq-server")
    (home / "plugins" / core.format(version) / "ebin").mkdir(parents=True)
    return home


def link(file, target):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(target)


@pytest.fixture
def root(tmp_path):
    """A machine with Erlang as Debian lays it out, and no RabbitMQ."""
    for command in ("erl", "epmd"):
        executable(tmp_path / "usr/lib/erlang/bin" / command)
        link(tmp_path / "usr/bin" / command, f"../lib/erlang/bin/{command}")
    return tmp_path


def find(root, path="", **environ):
    return find_installation({"PATH": path or str(root / "usr/bin"), **environ}, root)


def test_none_is_an_error_that_says_what_to_do(root):
    with pytest.raises(BrokerUnavailable, match="no RabbitMQ was found") as caught:
        find(root)
    assert "install" in caught.value.hint
    assert caught.value.exit_code == 6


def test_debian_the_wrapper_is_passed_over(root):
    executable(root / "usr/lib/rabbitmq/bin/rabbitmq-script-wrapper")
    link(root / "usr/sbin/rabbitmq-server", "../lib/rabbitmq/bin/rabbitmq-script-wrapper")
    home = release(root / "usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8", "3.10.8")
    found = find(root)
    assert found.server == home / "sbin/rabbitmq-server"
    assert found.version == (3, 10, 8)
    assert found.epmd == root / "usr/bin/epmd"


def test_homebrew_the_link_is_followed_into_the_cellar(root):
    home = release(root / "opt/homebrew/Cellar/rabbitmq/4.1.2", "4.1.2")
    link(root / "opt/homebrew/sbin/rabbitmq-server", "../Cellar/rabbitmq/4.1.2/sbin/rabbitmq-server")
    assert find(root).home == home


def test_an_unpacked_release_on_path(root):
    home = release(root / "home/me/rabbitmq_server-3.13.7", "3.13.7")
    assert find(root, path=f"{home / 'sbin'}:{root / 'usr/bin'}").home == home


def test_a_wrapper_that_leads_nowhere_falls_back_to_the_usual_folders(root):
    executable(root / "home/me/.asdf/shims/rabbitmq-server")
    home = release(root / "opt/rabbitmq", "3.12.0")
    assert find(root, path=f"{root / 'home/me/.asdf/shims'}:{root / 'usr/bin'}").home == home


def test_of_several_the_newest(root):
    release(root / "usr/lib/rabbitmq/lib/rabbitmq_server-3.9.20", "3.9.20")
    newest = release(root / "usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8", "3.10.8")
    assert find(root).home == newest


def test_rabbitmq_home_wins(root):
    release(root / "usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8", "3.10.8")
    mine = release(root / "mine", "3.11.0")
    assert find(root, RABBITMQ_HOME=str(mine)).home == mine


def test_a_wrong_rabbitmq_home_is_not_passed_over(root):
    release(root / "usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8", "3.10.8")
    with pytest.raises(BrokerUnavailable, match="RABBITMQ_HOME"):
        find(root, RABBITMQ_HOME=str(root / "usr"))


def test_an_archived_core_has_a_version_too(root):
    home = root / "opt/rabbitmq"
    executable(home / "sbin/rabbitmq-server")
    executable(home / "plugins/rabbit-3.8.34.ez")
    assert find(root).version == (3, 8, 34)


@pytest.mark.parametrize("version", ["3.7.28", "5.0.0"])
def test_an_unsupported_version_is_refused_with_its_number(root, version):
    release(root / "opt/rabbitmq", version)
    with pytest.raises(BrokerUnavailable, match=version):
        find(root)


def test_without_erlang_it_cannot_run(tmp_path):
    release(tmp_path / "opt/rabbitmq", "3.10.8")
    with pytest.raises(BrokerUnavailable, match="`erl`"):
        find(tmp_path)


def test_epmd_is_found_in_the_runtime_folder(root):
    release(root / "opt/rabbitmq", "3.10.8")
    (root / "usr/bin/epmd").unlink()
    (root / "usr/lib/erlang/bin/epmd").unlink()
    epmd = executable(root / "usr/lib/erlang/erts-13.1.5/bin/epmd")
    assert find(root).epmd == epmd


def test_without_epmd_it_cannot_run(root):
    release(root / "opt/rabbitmq", "3.10.8")
    (root / "usr/bin/epmd").unlink()
    (root / "usr/lib/erlang/bin/epmd").unlink()
    with pytest.raises(BrokerUnavailable, match="epmd"):
        find(root)
