"""Brokers for tests: each test that asks for one runs on the embedded broker and on RabbitMQ, in a vhost of its own.

`broker` gives one, `brokers` a pair for sync and async, `own_broker` one that nobody else uses and that may be
restarted. One RabbitMQ node serves the whole run and all of its workers; the first test that needs it starts it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from ports import free_port

from mpcli.errors import BrokerUnavailable

KINDS = [pytest.param("embedded"), pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)]


def _is_shared() -> None:
    pytest.fail("this broker is shared: a test that does this to one asks for the fixture own_broker")


@dataclass
class Broker:
    """A vhost of a running broker."""

    kind: str
    vhost: str
    server: EmbeddedServer | RabbitMQServer = field(repr=False)
    is_own: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.server.url)
        self.host, self.port = parts.hostname, parts.port
        self.user, self.password = parts.username, parts.password

    @property
    def url(self) -> str:
        return f"amqp://{self.user}:{self.password}@{self.host}:{self.port}/{quote(self.vhost, safe='')}"

    def queues(self) -> dict[str, int]:
        """The queues of the vhost and how many messages each holds, those out for delivery included."""
        return self.server.queues(self.vhost)

    def exchanges(self) -> set[str]:
        """The names of the vhost's exchanges."""
        return self.server.exchanges(self.vhost)

    def close_connections(self) -> None:
        """Let the broker close all connections of the vhost, as its administrator would (320 CONNECTION_FORCED)."""
        self.server.close_connections(self.vhost)

    def restart(self) -> None:
        """Stop the broker and start it again, on the same port and data."""
        self._must_be_own()
        self.server.restart()

    @contextmanager
    def short_of_memory(self) -> Iterator[None]:
        """A broker whose memory mark is below what it uses."""
        self._must_be_own()
        self.server.set_memory_mark(0)
        yield
        self.server.set_memory_mark(None)

    def _must_be_own(self) -> None:
        if not self.is_own:
            _is_shared()


@dataclass
class Pair:
    """The two brokers of a platform."""

    sync: Broker
    async_: Broker

    @property
    def kind(self) -> str:
        return self.sync.kind


class EmbeddedServer:
    """The embedded broker, in a thread of the test process."""

    def __init__(self, stack: ExitStack, **options: object) -> None:
        from mpcli.brokers.embedded import DevBroker

        self._broker = stack.enter_context(DevBroker(**options))

    @property
    def url(self) -> str:
        return self._broker.url

    def take_vhost(self, prefix: str) -> str:
        """The name of an empty vhost."""
        name = f"{prefix}-{uuid.uuid4().hex[:12]}"
        self.add_vhost(name)
        return name

    def give_back(self, name: str) -> None:
        """A test is done with it."""
        self.delete_vhost(name)

    def add_vhost(self, name: str) -> None:
        self._broker.add_vhost(name)

    def delete_vhost(self, name: str) -> None:
        self._broker.delete_vhost(name)

    def queues(self, vhost: str) -> dict[str, int]:
        return self._broker.queues(vhost)

    def exchanges(self, vhost: str) -> set[str]:
        return self._broker._ask(lambda broker: set(broker.vhosts[vhost].exchanges))

    def close_connections(self, vhost: str) -> None:
        self._broker.close_connections(vhost)

    def restart(self) -> None:
        self._broker.restart()

    def set_memory_mark(self, mark: int | None) -> None:
        from dataclasses import replace

        from mpcli.brokers.embedded.limits import Limits

        def set_it(broker) -> None:
            broker.limits = replace(broker.limits, memory=Limits().memory if mark is None else mark)

        self._broker._ask(set_it)


class RabbitMQServer:
    """A RabbitMQ node, administered from inside: milliseconds for what its command line needs most of a second for."""

    def __init__(self, folder: Path, restart: Callable[[], None] = _is_shared) -> None:
        self._folder = folder
        self.restart = restart
        self.url = self._description()["url"]
        self._emptied: dict[str, list[str]] = {}

    def _description(self) -> dict[str, object]:
        return json.loads((self._folder / "node.json").read_text())

    def take_vhost(self, prefix: str) -> str:
        """The name of an empty vhost: one that was emptied where there is one, for to make one takes a node 0.1 s."""
        if emptied := self._emptied.get(prefix):
            return emptied.pop()
        name = f"{prefix}-{uuid.uuid4().hex[:12]}"
        self.add_vhost(name)
        return name

    def give_back(self, name: str) -> None:
        """Empty it for the next test, or delete it if somebody is still connected or something cannot be removed."""
        verdict = self._evaluate(
            f'V = <<"{name}">>,'
            "Open = fun() -> [C || [{vhost, X}] = C <- rabbit_networking:connection_info_all([vhost]), X =:= V] end,"
            "Wait = fun Again(0) -> Open(); Again(N) -> case Open() of [] -> [];"
            " _ -> timer:sleep(10), Again(N - 1) end end,"
            "Empty = fun() ->"
            ' [rabbit_amqqueue:delete(Q, false, false, <<"mp">>) || Q <- rabbit_amqqueue:list(V)],'
            ' [catch rabbit_exchange:delete(X, false, <<"mp">>) || {_, Host, _, Name} = X <-'
            " rabbit_exchange:list_names(), Host =:= V, Name =/= <<>>,"
            ' binary:longest_common_prefix([Name, <<"amq.">>]) < 4],'
            "case {rabbit_amqqueue:list(V), rabbit_binding:list(V), length(rabbit_exchange:list(V))} of"
            ' {[], [], 7} -> "empty"; _ -> "used" end end,'
            # A queue may go with its connection while it is deleted here: then the vhost is not used again.
            'case Wait(20) of [] -> case catch Empty() of "empty" -> "empty"; _ -> "used" end; _ -> "used" end.'
        )
        if verdict == "empty":
            self._emptied.setdefault(name.rpartition("-")[0], []).append(name)
        else:
            self.delete_vhost(name)

    def add_vhost(self, name: str) -> None:
        self._evaluate(
            f'rabbit_vhost:add(<<"{name}">>, <<"mp">>), rabbit_auth_backend_internal:set_permissions('
            f'<<"mp">>, <<"{name}">>, <<".*">>, <<".*">>, <<".*">>, <<"mp">>), [].'
        )

    def delete_vhost(self, name: str) -> None:
        self._evaluate(f'catch rabbit_vhost:delete(<<"{name}">>, <<"mp">>), [].')

    def queues(self, vhost: str) -> dict[str, int]:
        # A quorum queue is asked itself: its published figures are up to five seconds old. A queue may go while it
        # is asked: then it is not there; any other failure is one.
        lines = self._evaluate(
            "Count = fun(Q) -> case amqqueue:get_type(Q) of"
            " rabbit_quorum_queue -> {ok, {_, N}, _} ="
            " ra:leader_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1), N;"
            " _ -> [{messages, N}] = rabbit_amqqueue:info(Q, [messages]), N end end,"
            "Line = fun(Q) -> Name = amqqueue:get_name(Q), case catch Count(Q) of N when is_integer(N) ->"
            ' io_lib:format("~w ~s|", [N, base64:encode(element(4, Name))]);'
            ' _ -> {error, not_found} = rabbit_amqqueue:lookup(Name), "" end end,'
            f'lists:flatten([Line(Q) || Q <- rabbit_amqqueue:list(<<"{vhost}">>)]).'
        )
        pairs = (line.split(" ") for line in lines.split("|") if line)
        return {b64decode(name).decode(): int(count) for count, name in pairs}

    def exchanges(self, vhost: str) -> set[str]:
        names = self._evaluate(
            '"|" ++ lists:flatten([binary_to_list(base64:encode(Name)) ++ "|" ||'
            f' {{_, V, _, Name}} <- rabbit_exchange:list_names(), V =:= <<"{vhost}">>]).'
        )
        return {b64decode(name).decode() for name in names.split("|")}

    def close_connections(self, vhost: str) -> None:
        self._evaluate(
            "rabbit_networking:close_connections([P || [{pid, P}, {vhost, V}] <-"
            f' rabbit_networking:connection_info_all([pid, vhost]), V =:= <<"{vhost}">>], "closed by a test"), [].'
        )

    def set_memory_mark(self, mark: int | None) -> None:
        # A share of the machine's memory; 0.4 is what a node starts with.
        share = 0.4 if mark is None else 0.00001
        self._evaluate(f"vm_memory_monitor:set_vm_memory_high_watermark({share:f}), [].")

    def _evaluate(self, expression: str) -> str:
        """The text that the Erlang expression evaluates to."""
        node = self._description()
        done = subprocess.run(
            [*node["erl_call"], "-h", f"test-{uuid.uuid4().hex}"],  # two callers of one name shut each other out
            input=expression + "\n",
            env=node["env"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        answer = done.stdout.strip()
        if done.returncode or not answer.startswith("{ok,"):
            raise AssertionError(f"the node did not evaluate {expression}\n{answer}\n{done.stderr}")
        return answer.removeprefix("{ok,").removesuffix("}").strip().strip('"').removesuffix("[]")


def _start_node(folder: Path, lock: Path, port: int) -> subprocess.Popen[bytes]:
    """Start a node under its guard and wait until it answers."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "guard.log").open("ab") as log:
        guard = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("rabbitmq_guard.py")), str(folder), str(port), str(lock)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 100
    while not (folder / "node.json").exists():
        if guard.poll() is not None or time.monotonic() > deadline:
            guard.send_signal(signal.SIGTERM)
            guard.wait(30)
            pytest.fail("the RabbitMQ node did not start:\n" + (folder / "guard.log").read_text(errors="replace"))
        time.sleep(0.05)
    return guard


@pytest.fixture(scope="session")
def needs_rabbitmq() -> None:
    """Skip where there is no RabbitMQ, and fail there if this is CI."""
    from mpcli.brokers.rabbitmq.installation import find_installation

    try:
        find_installation()
    except BrokerUnavailable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{error.message}: in CI these tests must run")
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def rabbitmq_server(needs_rabbitmq: None, run_folder: Path, run_lock: Path) -> RabbitMQServer:
    """The node of this run. It is not stopped here: another worker may still use it, the end of the run stops it."""
    folder = run_folder / "rabbitmq"
    with (run_folder / "rabbitmq.starting").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not (folder / "node.json").exists():
            # The guard outlives this process where a worker started it, so nobody waits for it here.
            _guards.append(_start_node(folder, run_lock, free_port()))
    return RabbitMQServer(folder)


_guards: list[subprocess.Popen[bytes]] = []


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[EmbeddedServer]:
    """The embedded broker of this process."""
    with ExitStack() as stack:
        yield EmbeddedServer(stack)


def _server(request: pytest.FixtureRequest) -> EmbeddedServer | RabbitMQServer:
    return request.getfixturevalue(f"{request.param}_server")


@contextmanager
def _vhost(kind: str, server: EmbeddedServer | RabbitMQServer, name: str) -> Iterator[Broker]:
    vhost = server.take_vhost(name)
    yield Broker(kind, vhost, server)
    server.give_back(vhost)


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A broker with a fresh vhost."""
    with _vhost(request.param, _server(request), "test") as broker:
        yield broker


@pytest.fixture(params=KINDS)
def brokers(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """The sync and the async broker of a platform: two fresh vhosts of one server."""
    server = _server(request)
    with _vhost(request.param, server, "sync") as sync, _vhost(request.param, server, "async") as async_:
        yield Pair(sync, async_)


@pytest.fixture(scope="module", params=KINDS)
def own_broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, run_lock: Path
) -> Iterator[Broker]:
    """A broker that this module alone uses, with data on disk, and may restart."""
    tmp_path = tmp_path_factory.mktemp("own")
    if request.param == "embedded":
        with ExitStack() as stack:
            yield Broker("embedded", "/", EmbeddedServer(stack, data=tmp_path / "data"), is_own=True)
        return
    request.getfixturevalue("needs_rabbitmq")
    folder, port = tmp_path / "rabbitmq", free_port()
    guard = _start_node(folder, run_lock, port)

    def stop() -> None:
        guard.terminate()
        guard.wait(40)

    def restart() -> None:
        nonlocal guard
        stop()
        guard = _start_node(folder, run_lock, port)

    try:
        yield Broker("rabbitmq", "/", RabbitMQServer(folder, restart), is_own=True)
    finally:
        stop()


class EchoService:
    """A consumer of a queue that answers a call with its argument `value`; with `hold`, when `release` says so; with
    `fail`, as a task that raised. `asked` counts the calls by their value."""

    def __init__(self, url: str, name: str = "mplogin.sync") -> None:
        from mpcli.wire.handshake import connect
        from mpcli.wire.methods import BASIC_CONSUME

        self.asked: Counter[str] = Counter()
        self.held: dict[str, dict[str, object]] = {}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._connection = connect(url)
        self._connection.request(BASIC_CONSUME, name, "", False, True, False, False, {})
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        from mpcli.errors import BrokerError
        from mpcli.wire.methods import BASIC_DELIVER

        with suppress(BrokerError):  # a test may end the connection, also while an answer is written
            while not self._stop.is_set():
                try:
                    incoming = self._connection.receive(time.monotonic() + 0.1)
                except TimeoutError:
                    continue
                if incoming.method is BASIC_DELIVER:
                    self._serve(incoming.properties, json.loads(incoming.body)[1])

    def _serve(self, asked: dict[str, object], kwargs: dict[str, object]) -> None:
        self.asked[json.dumps(kwargs.get("value"))] += 1
        if kwargs.get("hold"):
            self.held[str(asked["correlation_id"])] = asked
        elif kwargs.get("fail"):
            self._answer(asked, {"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": ["bad"]}})
        else:
            self._answer(asked, {"status": "SUCCESS", "result": kwargs.get("value")})

    def _answer(self, asked: dict[str, object], reply: dict[str, object]) -> None:
        from mpcli.wire.frames import encode_content
        from mpcli.wire.methods import BASIC_PUBLISH
        from mpcli.wire.properties import encode_properties

        properties = {"content_type": "application/json", "correlation_id": asked["correlation_id"]}
        frames = BASIC_PUBLISH.frame(1, "", asked["reply_to"], False, False)
        content = encode_content(1, encode_properties(properties), json.dumps(reply).encode(), 131072)
        with self._lock:
            self._connection.send(frames + content)

    def release(self, task_id: str, status: str = "SUCCESS", **reply: object) -> None:
        """Answer a call that is held, as soon as it is here."""
        deadline = time.monotonic() + 30
        while task_id not in self.held:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self._answer(self.held[task_id], {"status": status, **reply})

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self._connection.close()


@pytest.fixture
def echo_service() -> Iterator[Callable[..., EchoService]]:
    """Start services that echo: `echo_service(url, queue)`."""
    started: list[EchoService] = []

    def start(*arguments: str) -> EchoService:
        started.append(EchoService(*arguments))
        return started[-1]

    yield start
    for service in started:
        service.close()
