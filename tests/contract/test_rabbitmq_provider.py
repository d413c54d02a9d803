"""The private nodes, as processes on this machine: who can reach them, what they touch, how they end."""

from __future__ import annotations

import ipaddress
import os
import runpy
import shutil
import signal
import stat
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import amqp
import pytest
from ports import free_port

from mpcli.brokers.rabbitmq.provider import RabbitMQProvider
from mpcli.bus.naming import Mode

pytestmark = [pytest.mark.rabbitmq, pytest.mark.usefixtures("needs_rabbitmq")]

NOBODY = 65534
LISTEN = "0A"
guard = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("rabbitmq_guard.py"))))
linux_only = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc")


def free_ports(*modes):
    ports = {mode: free_port() for mode in modes}
    return ports if len(set(ports.values())) == len(modes) else free_ports(*modes)


def listening(pids):
    """The (address, port) pairs on which these processes listen."""
    inodes = set()
    for pid in pids:
        try:
            inodes |= {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
        except OSError:
            continue
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {address(row[1]) for row in rows if row[3] == LISTEN and f"socket:[{row[9]}]" in inodes}


def address(text):
    """proc(5): the address is hexadecimal, each group of four bytes in the machine's own order."""
    host, _, port = text.partition(":")
    words = bytes.fromhex(host)
    data = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    return ipaddress.ip_address(data), int(port, 16)


def is_loopback(host):
    return host.is_loopback or bool(getattr(host, "ipv4_mapped", None) and host.ipv4_mapped.is_loopback)


def arguments_of(pids):
    return b"\n".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids if Path(f"/proc/{pid}").exists())


def machines_own_files():
    """What the machine's own node would change: names, sizes and times of its data, logs and settings."""
    found = {}
    for top in ("/var/lib/rabbitmq", "/var/log/rabbitmq", "/etc/rabbitmq"):
        for folder, _, files in os.walk(top):
            for file in (folder, *(os.path.join(folder, name) for name in files)):
                status = os.stat(file)
                found[file] = (status.st_size, status.st_mtime_ns, stat.S_IMODE(status.st_mode))
    return found


def await_condition(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def connect(url, user=None, password=None):
    login, _, rest = url.removeprefix("amqp://").partition("@")
    own_user, _, own_password = login.partition(":")
    connection = amqp.Connection(
        rest.partition("/")[0], user or own_user, password or own_password, virtual_host="/", connect_timeout=30
    )
    connection.connect()
    return connection


def publish(url, body):
    with connect(url) as connection:
        channel = connection.channel()
        channel.queue_declare("kept", durable=True, auto_delete=False)
        channel.confirm_select()
        channel.basic_publish_confirm(amqp.Message(body, delivery_mode=2), "", "kept")


def get(url):
    with connect(url) as connection:
        message = connection.channel().basic_get("kept", no_ack=True)
        return message and message.body


class Watch(threading.Thread):
    """Collects, while nodes start, every address on which any process of theirs ever listened."""

    def __init__(self, processes_of, folder):
        super().__init__(daemon=True)
        self.processes_of, self.folder = processes_of, folder
        self.end, self.seen = threading.Event(), set()

    def run(self):
        while not self.end.wait(0.02):
            self.seen |= listening(self.processes_of(self.folder))


@pytest.fixture
def watch(processes_of):
    started = []

    def start(folder):
        started.append(Watch(processes_of, folder))
        started[0].start()
        return started[0]

    yield start
    for thread in started:
        thread.end.set()
        thread.join(10)


@linux_only
def test_two_nodes_are_private_and_end_without_a_trace(tmp_path, processes_of, watch, monkeypatch):
    # Settings of the machine's own node, as a developer's shell may hold them.
    monkeypatch.setenv("RABBITMQ_NODENAME", "rabbit@localhost")
    monkeypatch.setenv("RABBITMQ_NODE_PORT", "5672")
    monkeypatch.setenv("RABBITMQ_NODE_IP_ADDRESS", "0.0.0.0")
    before = machines_own_files()
    folder = tmp_path / "my platform ü"
    plan = RabbitMQProvider().plan(folder, free_ports(Mode.SYNC, Mode.ASYNC))
    watcher = watch(folder)
    with guard.running(plan.processes):
        pids = processes_of(folder)
        now = listening(pids)
        ports = {port for _, port in now}
        assert {spec.ready.port for spec in plan.processes} < ports
        assert ports.isdisjoint({4369, 5672, 15672, 25672})
        assert watcher.seen, "the watch saw nothing"
        assert all(is_loopback(host) for host, _ in watcher.seen | now)
        told = arguments_of(pids)
        assert (folder / "home/.erlang.cookie").read_bytes() not in told
        assert (folder / "password").read_bytes() not in told
        publish(plan.urls[Mode.SYNC], b"sync")
        publish(plan.urls[Mode.ASYNC], b"async")
        assert get(plan.urls[Mode.SYNC]) == b"sync"
        for user, password in (("guest", "guest"), ("mp", "wrong")):
            with pytest.raises(amqp.AccessRefused):
                connect(plan.urls[Mode.SYNC], user, password)
    await_condition(lambda: not processes_of(folder))
    assert machines_own_files() == before


@linux_only
def test_sigterm_to_its_group_ends_a_node_cleanly_and_its_messages_stay(tmp_path, processes_of):
    plan = RabbitMQProvider().plan(tmp_path / "brokers", free_ports(Mode.ASYNC))
    with guard.running(plan.processes) as processes:
        publish(plan.urls[Mode.ASYNC], b"kept")
        node = processes["rabbitmq.async"]
        os.killpg(node.pid, signal.SIGTERM)
        assert node.wait(40) == 0
    await_condition(lambda: not processes_of(tmp_path))
    with guard.running(plan.processes):
        assert get(plan.urls[Mode.ASYNC]) == b"kept"


@linux_only
def test_a_killed_node_starts_again_on_its_data(tmp_path, processes_of):
    plan = RabbitMQProvider().plan(tmp_path / "brokers", free_ports(Mode.ASYNC))
    with guard.running(plan.processes) as processes:
        publish(plan.urls[Mode.ASYNC], b"confirmed")
        node = processes["rabbitmq.async"]
        node.kill()
        node.wait(40)
        # The port mapper lives on, and its helpers see for themselves that the node is gone.
        await_condition(lambda: set(processes_of(tmp_path)) == {processes["rabbitmq.epmd"].pid})
        again = [spec for spec in plan.processes if spec.name == "rabbitmq.async"]
        with guard.running(again):
            assert get(plan.urls[Mode.ASYNC]) == b"confirmed"


@linux_only
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; the other tests run as this one")
def test_an_ordinary_user_can_run_a_node(request, processes_of):
    folder = Path(tempfile.mkdtemp(prefix="mp-nobody-"))  # tmp_path is closed to others
    request.addfinalizer(lambda: shutil.rmtree(folder))
    plan = RabbitMQProvider().plan(folder, free_ports(Mode.SYNC))
    for at, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(os.path.join(at, name), NOBODY, NOBODY, follow_symlinks=False)
    with guard.running(plan.processes, user=NOBODY) as processes:
        assert os.stat(f"/proc/{processes['rabbitmq.sync'].pid}").st_uid == NOBODY
        publish(plan.urls[Mode.SYNC], b"from nobody")
        assert get(plan.urls[Mode.SYNC]) == b"from nobody"
    await_condition(lambda: not processes_of(folder))
