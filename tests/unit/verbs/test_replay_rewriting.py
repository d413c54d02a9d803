"""What a replay changes in one message, and that it changes nothing else."""

import json
import zlib

import pytest

from mpcli.recording.format import DEAD, TASK
from mpcli.verbs.replay.arguments import Arguments, Assignment, Unreadable
from mpcli.verbs.replay.policy import KEEP, PROVENANCE, SHIFT, Policy
from mpcli.verbs.replay.rewriting import Place, move, rewrite
from mpcli.verbs.seen import Seen
from mpcli.wire.celery_view import CeleryView
from mpcli.wire.codec import Typed
from mpcli.wire.message import Message

NOW, AT = 1_800_000_000.0, 1_700_000_000.0  # seconds; now, and when it was recorded
OLD, ROOT = "3f2a9c1b-7a1e-4a53-8f0e-9d2f0a0b1c2d", "77e0d2aa-7a1e-4a53-8f0e-9d2f0a0b1c2d"
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
NAME = "mplogin.async.mail"
TYPES = {
    "small": Typed("s", 3), "wide": Typed("l", 3), "unsigned": Typed("B", 3), "single": Typed("f", 0.5),
    "double": 0.5, "when": Typed("T", 17), "price": Typed("D", (2, 314)), "raw": b"\xff", "null": None, "flag": True,
    "table": {"inner": [Typed("s", 1), None]}, "not utf-8": Typed("S", b"\xff"),
}  # fmt: skip


def message(*args, headers=None, embed=None, body=None, **properties) -> Message:
    found = {"lang": "py", "task": NAME, "id": OLD, "root_id": OLD, "parent_id": None, "retries": 0, "eta": None}
    found |= {"expires": None, "argsrepr": repr(args), "kwargsrepr": "{}", "group": None, **(headers or {})}
    body = json.dumps([args, {}, {**EMBED, **(embed or {})}]).encode() if body is None else body
    properties = {"content_type": "application/json", "content_encoding": "utf-8", "headers": found, **properties}
    return Message.build("mplogin", NAME, properties, body)


def replayed(sent: Message, kind: str = TASK, queue: str = "", edited=None, **policy):
    return rewrite(Seen(kind, "async", AT, sent), Policy(now=NOW, salt="s", **policy), queue, edited)


def test_where_nothing_changes_the_very_bytes_are_sent() -> None:
    sent = message(1, headers=TYPES, priority=7, delivery_mode=2)
    done = replayed(sent, keep_id=True)
    assert done.changes == []
    assert done.message == sent
    assert done.message.raw_properties is sent.raw_properties
    assert done.message.body is sent.body


def test_a_new_id_with_its_provenance_and_every_other_header_in_its_type() -> None:
    sent = message(1, headers=TYPES, priority=7)
    done = replayed(sent)
    assert done.changes == ["id"]
    assert done.message.body is sent.body
    headers = done.message.headers
    assert headers["id"] == headers["root_id"] == done.id != OLD
    expected = {**sent.headers, "id": done.id, "root_id": done.id, PROVENANCE: OLD}
    assert headers == expected
    assert list(headers)[:-1] == list(sent.headers)
    assert done.message.properties["priority"] == 7
    again = replayed(done.message)
    assert again.message.headers[PROVENANCE] == OLD  # the first id of all
    assert replayed(sent).id == done.id  # a resumed replay gives the same one


def test_the_correlation_id_goes_with_the_id_it_repeats() -> None:
    done = replayed(message(correlation_id=OLD))
    assert done.changes == ["id"]
    assert done.message.properties["correlation_id"] == done.id
    assert replayed(message(correlation_id="other")).message.properties["correlation_id"] == "other"


def test_root_and_parent_follow_only_when_they_are_sent_again_too() -> None:
    policy = Policy(now=NOW, salt="s")
    sent = message(headers={"root_id": ROOT, "parent_id": ROOT})
    alone = rewrite(Seen(TASK, "async", AT, sent), policy).message.headers
    assert (alone["root_id"], alone["parent_id"]) == (ROOT, ROOT)
    policy.renewed.add(ROOT)
    together = rewrite(Seen(TASK, "async", AT, sent), policy).message.headers
    assert together["root_id"] == together["parent_id"] == policy.new_id(ROOT)


def test_no_answer_to_the_caller_and_not_its_patience_either() -> None:
    sent = message(reply_to="a-queue", correlation_id=OLD, expiration="10000")
    done = replayed(sent, keep_id=True)
    assert done.changes == ["reply", "expiry"]
    assert {"reply_to", "correlation_id", "expiration"}.isdisjoint(done.message.properties)
    assert replayed(sent, expired=KEEP).message.properties["expiration"] == "10000"
    policy = Policy(now=NOW, salt="s", reply_to="amq.rabbitmq.reply-to", patience=30.0)
    waiting = rewrite(Seen(TASK, "sync", AT, sent), policy)
    properties = waiting.message.properties
    assert (properties["reply_to"], properties["correlation_id"]) == ("amq.rabbitmq.reply-to", waiting.id)
    assert properties["expiration"] == "30000"


@pytest.mark.parametrize("zone", ["+00:00", ""])
def test_what_has_expired_is_dropped_shifted_or_kept(zone) -> None:
    sent = message(headers={"expires": f"2023-11-14T22:14:20{zone}"})  # a minute after it was recorded
    assert "expired at 2023-11-14" in replayed(sent).skip
    shifted = replayed(sent, expired=SHIFT)
    assert shifted.message.headers["expires"] == f"2027-01-15T08:01:00{zone}"  # a minute after now
    kept = replayed(sent, expired=KEEP)
    assert kept.message.headers["expires"] == sent.headers["expires"]
    assert "discard" in kept.notes[0]


def test_an_eta_that_is_past_runs_at_once_and_can_be_shifted() -> None:
    sent = message(headers={"eta": "2023-11-14T22:14:20+00:00"})
    assert replayed(sent).notes == ["eta is past: runs at once"]
    assert replayed(sent).message.headers["eta"] == sent.headers["eta"]
    assert replayed(sent, expired=SHIFT).message.headers["eta"] == "2027-01-15T08:01:00+00:00"
    assert replayed(message(headers={"eta": "2030-01-01T00:00:00+00:00"})).notes == ["waits for its eta"]


def death(queue: str, exchange: str, key: str, reason: str = "rejected", **more) -> dict:
    return {"queue": queue, "exchange": exchange, "routing-keys": [key], "reason": reason, "count": 1, **more}


def test_a_dead_letter_goes_back_to_where_it_was_without_its_deaths() -> None:
    deaths = {"x-death": [death("mplogin.async", "mplogin", NAME)], "x-first-death-queue": "mplogin.async"}
    sent = message(headers={**deaths, "x-delivery-count": 4})
    sent = Message("mplogin.dead", "other", sent.raw_properties, sent.body)
    for done in (replayed(sent, DEAD), replayed(sent, queue="mplogin.dead")):
        assert (done.message.exchange, done.message.routing_key) == ("mplogin", NAME)
        assert set(done.changes) == {"id", "deaths", "route"}
        assert not [name for name in done.message.headers if name.startswith("x-")]


def test_of_several_deaths_the_newest_in_a_queue_of_the_living_counts() -> None:
    delayed = "0." * 27 + "1." + NAME
    deaths = [
        death("mplogin.dead", "mplogin.dead", NAME, "expired"),
        death("mplogin.async", "celery_delayed_delivery", delayed, **{"original-expiration": "5000"}),
        death("celery_delayed_0", "celery_delayed_0", delayed, "expired"),
    ]
    done = replayed(message(headers={"x-death": deaths}), DEAD, queue="second.dead", expired=SHIFT)
    assert (done.message.exchange, done.message.routing_key) == ("mplogin", NAME)
    assert done.message.properties["expiration"] == "5000"


def test_a_dead_letter_that_does_not_tell_stays() -> None:
    assert "without x-death" in replayed(message(), DEAD).skip
    assert "without x-death" in replayed(message(headers={"x-death": "nonsense"}), queue="mplogin.dead").skip


def test_copies_and_a_foreign_user_are_taken_off() -> None:
    sent = message(headers={"CC": ["a"], "BCC": ["b"]}, user_id="somebody")
    done = replayed(sent, keep_id=True, users={"async": "guest"})
    assert done.changes == ["copies", "user"]
    assert {"CC", "BCC"}.isdisjoint(done.message.headers)
    assert "user_id" not in done.message.properties
    own = replayed(message(user_id="guest"), keep_id=True, users={"async": "guest"})
    assert own.message.properties["user_id"] == "guest"


def signature(task_id: str, **more) -> dict:
    return {"task": NAME, "args": [], "kwargs": {}, "options": {"task_id": task_id, "reply_to": "q"}, **more}


def test_a_chain_is_told_and_its_steps_get_new_ids() -> None:
    last = signature("last")
    last["options"]["link_error"] = [signature("deep")]
    sent = message(1.0, embed={"chain": [last, signature("next")], "errbacks": [signature("e")]})
    done = replayed(sent)
    assert done.notes == ["chain of 2 more", "1 errbacks"]
    assert set(done.changes) == {"id", "steps"}
    args, kwargs, embed = json.loads(done.message.body)
    assert (args, kwargs) == ([1.0], {})
    policy = Policy(salt="s")
    assert [step["options"] for step in embed["errbacks"]] == [{"task_id": policy.new_id("e")}]
    assert embed["chain"][0]["options"]["task_id"] == policy.new_id("last")
    assert embed["chain"][0]["options"]["link_error"][0]["options"] == {"task_id": policy.new_id("deep")}
    assert replayed(sent, keep_id=True).message.body is sent.body


def test_protocol_1_has_its_id_in_the_body() -> None:
    body = {"task": NAME, "id": OLD, "args": [1], "kwargs": {}, "expires": "2023-11-14T22:14:20", "retries": 0}
    sent = Message.build("mplogin", NAME, {"content_type": "application/json"}, json.dumps(body).encode())
    assert "expired" in replayed(sent).skip
    done = replayed(sent, expired=SHIFT)
    assert json.loads(done.message.body) == {**body, "id": done.id, "expires": "2027-01-15T08:01:00"}
    assert done.message.headers == {PROVENANCE: OLD}


def test_a_pickle_is_never_opened() -> None:
    pickled = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}
    done = replayed(message(body=b"cos\nsystem\n.", **pickled))
    assert done.message.body == b"cos\nsystem\n."
    assert "pickle" in done.notes[0]
    first = Message.build("mplogin", NAME, pickled, b"cos\nsystem\n.")
    assert "--keep-id" in replayed(first).skip
    assert replayed(first, keep_id=True).message == first


def test_what_is_no_task_at_all_is_sent_as_it_is() -> None:
    sent = Message.build("mplogin", NAME, {"content_type": "text/plain"}, b"hello")
    assert replayed(sent).message == sent
    assert replayed(Message("mplogin", NAME, b"\x80\x00\x09abc", b"")).skip
    assert "neither" in rewrite(Seen(TASK, "third", AT, sent), Policy()).skip


def test_arguments_are_changed_in_the_content_type_and_compression_they_had() -> None:
    marked = {"__type__": "datetime", "__value__": "2026-01-01T00:00:00"}
    plain = json.dumps([["a", {"deep": [1, 2]}], {"when": marked, "password": "x"}, EMBED]).encode()
    sent = message(body=zlib.compress(plain), headers={"compression": "application/x-gzip"})
    arguments = Arguments(CeleryView(sent))
    assert arguments.assign(Assignment("args.1.deep.0:=1.5"))
    assert arguments.assign(Assignment("kwargs.currency=EUR"))
    assert not arguments.assign(Assignment("args.0=a"))
    done = replayed(sent, edited=arguments)
    assert done.changes == ["id", "arguments"]
    body = json.loads(zlib.decompress(done.message.body))
    assert body == [["a", {"deep": [1.5, 2]}], {"when": marked, "password": "x", "currency": "EUR"}, EMBED]
    assert done.message.headers["argsrepr"] == "('a', {'deep': [1.5, 2]})"
    assert "'***'" in done.message.headers["kwargsrepr"]
    for path in ("args.7=x", "args.1.nothing.x=1", "kwargs.when.__type__.x=1"):
        with pytest.raises(Unreadable, match="there is no"):
            arguments.assign(Assignment(path))


def test_a_move_changes_only_what_would_do_harm() -> None:
    sent = message(headers={**TYPES, "x-death": [death("q", "e", "k")]}, reply_to="q", expiration="5")
    done = move(sent, Place("", "target"), "guest")
    assert done.changes == []
    assert done.message.raw_properties is sent.raw_properties
    assert (done.message.exchange, done.message.routing_key) == ("", "target")
    harmful = message(headers={"CC": ["a"], "x-delivery-count": 3}, user_id="somebody")
    done = move(harmful, Place("", "target"), "guest")
    assert sorted(done.changes) == ["copies", "deaths", "user"]
    assert done.message.headers == message().headers


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (message(headers={"eta": "9999-12-31T23:59:59+00:00"}), "its eta of 9999-12-31T23:59:59+00:00 is too far away"),
        (message(headers={"task": None}, body=b'{"task": "x", "id": "\\ud800", "args": [], "kwargs": {}}'), "its id"),
    ],
)
def test_a_message_that_cannot_be_changed_is_skipped_and_not_the_end_of_all(sent, said) -> None:
    assert said in replayed(sent, expired=SHIFT).skip


def test_ids_of_nonsense_and_bodies_of_any_depth_are_sent() -> None:
    steps = [{"task": "mplogin.async.next", "options": {"task_id": "\ud800"}}]
    done = replayed(message(embed={"chain": steps}))
    assert not done.skip
    assert json.loads(done.message.body)[2]["chain"][0]["options"]["task_id"] == Policy(salt="s").new_id("\ud800")
    deep = b"[" * 600 + b"]" * 600
    done = replayed(message(body=deep))
    assert (done.skip, done.message.body) == ("", deep)


def test_a_dead_letter_in_a_queue_gets_the_time_again_that_it_had_when_it_died() -> None:
    def taken(died: int | None):
        deaths = [{"exchange": "mplogin", "queue": "mplogin.async", "reason": "rejected", "routing-keys": [NAME]}]
        if died is not None:
            deaths[0]["time"] = Typed("T", died)
        sent = message(headers={"x-death": deaths, "expires": "2023-11-14T22:14:20+00:00"})  # a minute after AT
        seen = Seen(DEAD, "async", NOW, sent)
        return rewrite(seen, Policy(now=NOW, salt="s", expired=SHIFT), "mplogin.dead")

    assert taken(int(AT)).message.headers["expires"] == "2027-01-15T08:01:00+00:00"  # a minute after now
    for died in (int(AT) + 60, None):  # a worker would throw it away, and it would be gone from the queue
        assert "no time to be given again" in taken(died).skip
