"""docs/tutorial/dead-letter.md, line by line, in a pseudo-terminal, as its reader would do it."""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "dead-letter.md"
DEADLINE = 60.0
EDITOR = """sed -i -e 's/"EUR"/"USD"/' -e 's/"amount": 8/"amount": 9/'"""
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Reader:
    """Does what the page says, in a folder of its own, and has before the eyes what was printed last."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env = folder, env
        self.seen = ""
        self.tail: subprocess.Popen[bytes] | None = None
        self._tail_file = folder.parent / "tail.txt"

    def take(self, kind: str, text: str) -> None:
        if kind == "console":
            self.seen = ""
            for line in text.splitlines():
                self.type(line.removeprefix("$ "))
        elif kind == "python":
            self.write(text)
        else:
            for line in text.splitlines():
                self.expect(line)

    def type(self, command: str) -> None:
        if command.startswith("mkdir"):
            return  # the test has made one
        if command.startswith("mp tail"):
            self.watch(f"{command} --json")  # in a pipe it would show nothing
            return
        if command == "mp dead":
            self.end_tail()
        if "3f2a9c1b" in command:
            command = command.replace("3f2a9c1b", re.search(r"\b[0-9a-f]{8}\b", self.seen_before)[0])
        self.seen_before = self.run(command)
        self.seen += self.seen_before

    def write(self, text: str) -> None:
        file = self.folder / "mppay" / "mppay" / "async_tasks.py"
        if text.startswith("RATES"):
            text = file.read_text().replace('RATES = {"USD": 1.0}', text.strip())
        file.write_text(text)

    def run(self, command: str) -> str:
        """The output of a command at a terminal of 120 columns."""
        leader, follower = os.openpty()
        process = subprocess.Popen(
            ["bash", "-c", f"stty cols 120 rows 50; {command}"],
            stdin=follower, stdout=follower, stderr=follower, cwd=self.folder, env=self.env, start_new_session=True,
        )  # fmt: skip
        os.close(follower)
        shown, deadline = b"", time.monotonic() + DEADLINE
        try:
            while time.monotonic() < deadline:
                if select.select([leader], [], [], 0.1)[0]:
                    shown += os.read(leader, 65536)
                elif process.poll() is not None:
                    break
        except OSError:
            pass  # Linux's end of a pseudo-terminal
        finally:
            os.close(leader)
        assert process.wait(DEADLINE) == 0, f"{command}\n{shown.decode()}"
        return _COLOUR.sub("", shown.decode()).replace("\r\n", "\n")

    def watch(self, command: str) -> None:
        with self._tail_file.open("wb") as file:
            self.tail = subprocess.Popen(shlex.split(command), stdout=file, stderr=file, cwd=self.folder, env=self.env)
        self.await_tail("tapping")

    def await_tail(self, text: str, times: int = 1) -> None:
        deadline = time.monotonic() + DEADLINE
        while self._tail_file.read_text().count(text) < times:
            assert time.monotonic() < deadline, self._tail_file.read_text()
            time.sleep(0.05)

    def end_tail(self) -> None:
        if self.tail is not None:
            self.tail.send_signal(signal.SIGINT)
            assert self.tail.wait(DEADLINE) == 130
            self.tail = None

    def expect(self, line: str) -> None:
        if self.tail is None:
            assert line in self.seen, f"{line!r} is not in\n{self.seen}"


@pytest.fixture
def reader(tmp_path: Path, run_folder: Path, empty_home: dict[str, str]) -> Iterator[Reader]:
    folder = tmp_path / "shop"
    folder.mkdir()
    env = {**empty_home, "MP_TEST_RUN": str(run_folder), "EDITOR": EDITOR, "TERM": "xterm", "LANG": "C.UTF-8"}
    reader = Reader(folder, env)
    yield reader
    if reader.tail is not None:
        reader.tail.kill()
        reader.tail.wait()
    subprocess.run(["mp", "down"], cwd=folder, env=env, capture_output=True, timeout=DEADLINE, check=False)


def test_the_story_happens_as_it_is_told(reader: Reader) -> None:
    blocks = _BLOCK.findall(PAGE.read_text())
    assert len(blocks) > 15
    for kind, text in blocks:
        reader.take(kind, text)
        if "user=eve" in text:
            reader.await_tail('"outcome": "succeeded"', 2)
            reader.await_tail('"reason": "rejected"')
    assert (reader.folder / "monday.mprec").stat().st_mode & 0o777 == 0o600
