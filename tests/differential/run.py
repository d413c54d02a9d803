"""Random sequences of AMQP operations on the embedded broker and on RabbitMQ: does a client see the same?

    python tests/differential/run.py [--seconds 120] [--seed TEXT] [--only NUMBER] [--all]

After each operation all is compared that came on any channel (answers, closes with their texts, returned messages,
confirms, deliveries with properties and headers, cancellations), and how many messages and consumers each queue has.
A difference counts when it comes again with long waits after each operation; then the shortest sequence that shows it
is looked for, and printed. Exits with 0 when there was none, else with 1. A sequence is made from the seed and its
number alone: `--seed TEXT --only NUMBER` runs it again.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

sys.path.insert(0, str(Path(__file__).parent.parent / "conformance"))
sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from allowed import allowed
from operations import Operation, sequence
from servers import embedded, rabbitmq
from side import Answer, Side

QUICK, QUORUM, SLOW = 0.004, 0.03, 0.2
"""Seconds without any change after which an operation has had its effect. A quorum queue takes its time."""
SHRINKING = 90
"""Seconds for the search of a shorter sequence."""

Answers = tuple[Answer, Answer]

_DECLARED = re.compile(r"(queue\.declare-ok \['[^']*', \d+), \d+\]")
"""The number of consumers stands last in it."""


@dataclass(frozen=True)
class Difference:
    """The operations up to the one that was answered in two ways, and the answers."""

    operations: list[Operation]
    answers: Answers

    def __str__(self) -> str:
        lines = [f"  {number:2} {operation}" for number, operation in enumerate(self.operations, 1)]
        for name, answer in zip(("embedded", "rabbitmq"), self.answers, strict=True):
            lines.append(name)
            lines += [f"  {where}: {what}" for where, what in _unlike(answer, self.answers)]
        return "\n".join(lines)


class Pair:
    """Both brokers, asked at the same time."""

    def __init__(self, sides: tuple[Side, Side]) -> None:
        self._sides = sides
        self._threads = ThreadPoolExecutor(2)
        self.sequences = self.operations = self.fleeting = 0
        self.allowed: Counter[str] = Counter()

    def compare(self, operations: list[Operation], *, slow: bool = False) -> Difference | None:
        """The first difference that is not allowed."""
        loose: set[tuple[int, int]] = set()
        try:
            for number, operation in enumerate(operations):
                where = (operation.connection, operation.channel)
                so_far = operations[: number + 1]
                quiet = SLOW if slow else _quiet(so_far)
                answers = self._ask(operation, quiet, one_by_one=where in loose)
                loose |= _interleaved(answers)
                self.operations += 1
                with_quorum = _has_quorum(so_far)
                ours, theirs = (_comparable(answer, with_quorum=with_quorum) for answer in answers)
                if ours != theirs:
                    reason = allowed(so_far, ours, theirs)
                    self.allowed.update([reason] if reason else [])
                    return None if reason else Difference(so_far, answers)
            return None
        finally:
            list(self._threads.map(Side.clear, self._sides))

    def _ask(self, operation: Operation, quiet: float, *, one_by_one: bool) -> Answers:
        ours, theirs = self._threads.map(
            lambda side: side.perform(operation, quiet, one_by_one=one_by_one), self._sides
        )
        return ours, theirs

    def shortest(self, difference: Difference) -> Difference:
        """The shortest sequence found in the time that shows a difference: without some operations, or simpler ones."""
        deadline = time.monotonic() + SHRINKING
        again = True
        while again:
            again = False
            for candidate in _shorter(difference.operations):
                if time.monotonic() > deadline:
                    return difference
                if self.compare(candidate) and (found := self.compare(candidate, slow=True)):
                    difference, again = found, True
                    break
        return difference


def _quiet(operations: list[Operation]) -> float:
    last = operations[-1]
    slow = last.what in ("abort", "connection.close", "channel.close") or "'expiration': '1'" in str(last)
    return QUORUM if slow or _has_quorum(operations) else QUICK


def _has_quorum(operations: list[Operation]) -> bool:
    return any("'quorum'" in str(operation) for operation in operations)


def _several(told: dict[str, object]) -> bool:
    return len(told.get("delivered", ())) > 1


def _comparable(answer: Answer, *, with_quorum: bool) -> str:
    """Without what is chance.

    That are the tags of deliveries that came from several queues, for their order among each other; what is delivered
    on a connection that an error ends; and, where there are quorum queues, the number of consumers, for what was
    fetched from one counts as one more.
    """
    ended = {where.removesuffix(".0") for where in answer if where.endswith(".0")}
    told: dict[str, object] = {}
    for where, what in sorted(answer.items()):
        chance = {"tags"} if _several(what) else set()
        if where.partition(".")[0] in ended:
            chance |= {"tags", "delivered"}
        left = {kind: words for kind, words in what.items() if kind not in chance}
        told.update({where: left} if left else {})
    if with_quorum:
        told["queues"] = {name: _messages(counts) for name, counts in answer["queues"].items()}
        return _DECLARED.sub(r"\1]", str(told))
    return str(told)


def _messages(counts: object) -> object:
    return counts[0] if isinstance(counts, tuple) else counts


def _interleaved(answers: Answers) -> set[tuple[int, int]]:
    """The channels on which deliveries have other tags on one broker than on the other."""
    ours, theirs = answers
    return {
        tuple(map(int, where.split(".")))
        for where, told in ours.items()
        if _several(told) and told["tags"] != theirs.get(where, {}).get("tags")
    }


def _unlike(answer: Answer, answers: Answers) -> Iterator[tuple[str, object]]:
    for where, told in sorted(answer.items()):
        for kind, what in told.items():
            if len({str(other.get(where, {}).get(kind)) for other in answers}) > 1:
                yield f"{where} {kind}", what


def _shorter(operations: list[Operation]) -> Iterator[list[Operation]]:
    size = len(operations) // 2
    while size:
        for at in range(0, len(operations) - size + 1, size):
            yield operations[:at] + operations[at + size :]
        size //= 2
    for at, operation in enumerate(operations):
        for simpler in _simpler(operation):
            yield [*operations[:at], simpler, *operations[at + 1 :]]


def _simpler(operation: Operation) -> Iterator[Operation]:
    if (operation.connection, operation.channel) != (1, 1):
        yield replace(operation, connection=1, channel=1)
    for at, value in enumerate(operation.values):
        for less in _less(value):
            yield replace(operation, values=(*operation.values[:at], less, *operation.values[at + 1 :]))


def _less(value: object) -> Iterator[object]:
    if value is True:
        yield False
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield {known: other for known, other in value.items() if known != name}
            for less in _less(inner):
                yield {**value, name: less}
    elif isinstance(value, int) and value > 1:
        yield 1


def main() -> int:
    options = _options()
    logging.basicConfig(format="the embedded broker's log: %(message)s")
    with ExitStack() as stack:
        print("starting a RabbitMQ node")
        ports = [stack.enter_context(server()) for server in (embedded, rabbitmq)]
        pair = Pair((Side(ports[0]), Side(ports[1])))
        seed, started, found = options.seed or token_hex(4), time.monotonic(), 0
        print(f"seed {seed}, for {options.seconds:.0f} s", flush=True)
        with suppress(KeyboardInterrupt):
            for number in [options.only] if options.only else itertools.count(1):
                if time.monotonic() - started > options.seconds or (found and not options.all):
                    break
                found += _differs(pair, number, sequence(f"{seed}:{number}"))
        _report(pair, time.monotonic() - started, found)
    return 1 if found else 0


def _differs(pair: Pair, number: int, operations: list[Operation]) -> bool:
    """Whether the sequence is answered in two ways; if so, print the shortest one that is."""
    pair.sequences += 1
    first = pair.compare(operations)
    if first is None:
        return False
    difference = pair.compare(first.operations, slow=True)
    if difference is None:
        pair.fleeting += 1
        return False
    print(f"\nsequence {number}: a difference, {len(difference.operations)} operations", flush=True)
    print(pair.shortest(difference), flush=True)
    return True


def _report(pair: Pair, seconds: float, found: int) -> None:
    print(f"\n{pair.sequences} sequences, {pair.operations} operations on each broker, {seconds:.0f} s")
    for reason, times in pair.allowed.most_common():
        print(f"  allowed {times} times: {reason}")
    print(f"  {pair.fleeting} times something came late: not so with long waits")
    print(f"{found or 'no'} difference{'' if found == 1 else 's'}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120, help="begin no new sequence after that")
    parser.add_argument("--seed", help="the seed of an earlier run")
    parser.add_argument("--only", type=int, help="run the sequence of this number alone")
    parser.add_argument("--all", action="store_true", help="go on after a difference")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
