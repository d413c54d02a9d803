"""`mp shell` without a terminal, in a running platform: -c, a file, a pipe; what it exports runs.

The embedded broker is enough: what depends on the broker is held by `tests/contract/bus/test_shell_session.py`.
"""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

Shop = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.parametrize("shop", ["embedded"], indirect=True)


def _email() -> str:
    return f"{uuid.uuid4().hex}@example.org"


def test_the_value_of_the_last_expression_is_json_in_a_pipe(shop: Shop) -> None:
    code = f'u = mplogin.sync.register(user_obj={{"email": "{_email()}"}})\nmpwallet.sync.balance(u["wallet_id"])'
    done = shop("shell", "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["currency"] == "EUR"
    assert len(done.stdout.splitlines()) == 1
    sent = shop("shell", "-c", 'mpwallet.async.deposit("w", 1, reference="r")')
    uuid.UUID(json.loads(sent.stdout))
    assert shop("shell", "-c", "print(1)").stdout == "1\n"
    assert shop("shell", "-c", "x = 1").stdout == ""


@pytest.mark.parametrize(
    ("code", "exit_code", "told"),
    [
        ('mplogin.sync.login("nobody", "x")', 3, "mplogin.sync.login raised InvalidCredentials"),
        ('mpwallet.async.deposit("no", 1, reference="r").wait(30)', 3, "raised UnknownWallet"),
        ("mplogin.sync.regster(user_obj={})", 5, "did you mean mplogin.sync.register?"),
        ("mpnobody.sync.x()", 5, "mpnobody"),
        ('mplogin.sync.login("only one")', 2, "'password' is missing"),
        ("x = = 1", 2, "SyntaxError"),
        ("/taisl", 2, "did you mean /tail?"),
        ("{}['u']", 1, "KeyError: 'u'"),
        ("raise SystemExit(9)", 9, ""),
        ("/describe mplogin.sync.regster", 5, "did you mean mplogin.sync.register?"),
        ("/context nowhere", 2, "there is no context 'nowhere'"),
    ],
)
def test_the_exit_code_is_that_of_what_failed(shop: Shop, code: str, exit_code: int, told: str) -> None:
    done = shop("shell", "-c", f"{code}\nprint('not reached')")
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert told in done.stderr
    assert "mpcli/" not in done.stderr
    assert "typer" not in done.stderr


def test_a_file_and_a_pipe_run_the_same_language(shop: Shop, tmp_path: Path) -> None:
    text = (
        '/timeout 20\nfound = []\nfor owner in ("ann", "bob"):\n'
        '    found.append(mpwallet.sync.open(owner=owner)["owner"])  # mplogin.async.x\n\n'
        '/tasks mpwallet.sync.open --json\nmpwallet.sync.open?\nfound + ["mplogin.async.x"]\n'
    )
    (tmp_path / "file.py").write_text(text)
    from_file = shop("shell", str(tmp_path / "file.py"))
    piped = shop("shell", stdin=text)
    for done in (from_file, piped):
        assert done.returncode == 0, done.stderr
        tasks, description, value = map(json.loads, done.stdout.splitlines())
        assert [task["name"] for task in tasks] == ["mpwallet.sync.open"]
        assert description["name"] == "mpwallet.sync.open"
        assert value == ["ann", "bob", "mplogin.async.x"]
        assert done.stderr == "a call waits 20 s for its result\n"
    (tmp_path / "wrong.py").write_text("x = 1\n\n1 / 0\n")
    wrong = shop("shell", str(tmp_path / "wrong.py"))
    assert wrong.returncode == 1
    assert f'File "{tmp_path / "wrong.py"}", line 3, in <module>\n    1 / 0' in wrong.stderr
    piped = shop("shell", stdin="/timeout 3\n\nx = {}\nx['y']\n")
    assert "File \"<stdin>\", line 4, in <module>\n    x['y']\n" in piped.stderr
    missing = shop("shell", str(tmp_path / "missing.py"))
    assert missing.returncode == 2
    assert f"there is no file {tmp_path / 'missing.py'}" in missing.stderr


def test_what_it_does_not_need_it_does_not_load(shop: Shop) -> None:
    heavy = '{"prompt_toolkit", "typer", "rich", "celery"}'
    code = f'import sys\nmpwallet.sync.open("a")\nsorted({heavy} & sys.modules.keys())'
    assert json.loads(shop("shell", "-c", code).stdout) == []


def test_code_imports_what_lies_beside_it(shop: Shop, tmp_path: Path) -> None:
    (shop.folder / "ours.py").write_text("from other import VALUE\n")  # type: ignore[attr-defined]
    (shop.folder / "other.py").write_text("VALUE = 'here'\n")  # type: ignore[attr-defined]
    (shop.folder / "rich.py").write_text("raise SystemExit('not for mp')\n")  # type: ignore[attr-defined]
    (tmp_path / "other.py").write_text("VALUE = 'there'\n")
    (tmp_path / "nightly.py").write_text("from other import VALUE\nVALUE\n")
    try:
        done = shop("shell", "-c", "/tasks mpwallet.sync.open\nimport ours\nimport rich\nours.VALUE")
        assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ['"here"']), done.stderr
        assert shop("shell", str(tmp_path / "nightly.py")).stdout == '"there"\n'
    finally:
        for name in ("ours", "other", "rich"):
            (shop.folder / f"{name}.py").unlink()  # type: ignore[attr-defined]
    missing = shop("shell", "-c", "import ours")
    assert (missing.returncode, missing.stderr.splitlines()[-1]) == (1, "ModuleNotFoundError: No module named 'ours'")
    assert len(missing.stderr.splitlines()) == 4  # once, and none of our own lines


SESSION = """\
import uuid
u = mplogin.sync.register(user_obj={"email": f"{uuid.uuid4().hex}@b.c", "password": "pw"})  # one
h = mpwallet.async.deposit(u["wallet_id"], 250, reference="ä")
mpwallet.sync.balance(
    wallet_id=u["wallet_id"],
)
/timeout 20
_["currency"]
"""


def test_an_exported_session_runs(shop: Shop, tmp_path: Path) -> None:
    script, test = tmp_path / "session.py", tmp_path / "test_session.py"
    done = shop("shell", stdin=f"{SESSION}\n/export {script}\n/export {test}\n/save {tmp_path}/result.json\n")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(script.stat().st_mode) == stat.S_IMODE((tmp_path / "result.json").stat().st_mode) == 0o600
    assert json.loads((tmp_path / "result.json").read_text()) == "EUR"
    folder = shop.folder  # type: ignore[attr-defined]
    run = subprocess.run(
        [sys.executable, str(script)], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stdout.splitlines()[-1]) == (0, "EUR"), run.stderr
    checked = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(test)],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    refused = shop("shell", "-c", f"/export {script}")
    assert refused.returncode == 2
    assert "is there already" in refused.stderr
