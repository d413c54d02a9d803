"""Numbers beyond 32 bits, under both letters that are in use for them."""

import pytest

from mpcli.wire.codec import Typed, decode_table, encode_table


@pytest.mark.parametrize("number", [-1, 3, 2**40, -(2**63), 2**63 - 1])
def test_the_letter_of_py_amqp_is_read_and_kept(number: int) -> None:
    encoded = encode_table({"x-message-ttl": Typed("L", number)})

    decoded, _ = decode_table(encoded, 0)

    assert decoded == {"x-message-ttl": Typed("L", number)}
    assert encode_table(decoded) == encoded


def test_what_py_amqp_writes_is_understood() -> None:
    from amqp.serialization import dumps

    decoded, _ = decode_table(dumps("F", [{"x-message-ttl": 2**40}]), 0)

    assert decoded == {"x-message-ttl": Typed("L", 2**40)}
