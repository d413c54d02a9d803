"""A reader that goes away, as in `mp ... | head`, is no failure and no traceback."""

from __future__ import annotations

import os
import subprocess

import pytest


@pytest.mark.parametrize("words", ["--version", "--help", "completion bash", "call --help", "config"])
def test_a_pipe_without_a_reader(words: str, mp_program: str, empty_home: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [mp_program, *words.split()],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=empty_home,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
