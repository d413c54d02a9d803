"""Two platforms that are started in the same moment get ports of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess


def test_platforms_that_start_together_do_not_meet(mp: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
        (folder / "mp.toml").write_text("")
    try:
        with ThreadPoolExecutor(3) as threads:
            started = list(threads.map(lambda folder: mp("up", "-d", cwd=folder, timeout=100), folders))
        assert [up.returncode for up in started] == [0, 0, 0], [up.stderr for up in started]
        urls = [json.loads((folder / ".mp" / "state.json").read_text())["urls"] for folder in folders]
        ports = [url.rpartition("@")[2] for pair in urls for url in pair.values()]
        assert len(set(ports)) == 6
    finally:
        stopped = [mp("down", cwd=folder).returncode for folder in folders]
    assert stopped == [0, 0, 0]
