"""The way in: what it imports, and how it ends."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mpcli import __version__, cli
from mpcli.cli.app import run_command
from mpcli.cli.entry import is_interrupt, main

HEAVY = ("typer", "pydantic", "rich", "prompt_toolkit", "celery", "kombu", "amqp", "cookiecutter", "asyncio", "ssl")


def _modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import mpcli.cli.entry",
        "from mpcli.cli.entry import main; main(['--version'])",
        "from mpcli.cli.entry import main; main(['__complete', 'call', 'mp'])",
        "import mpcli.cli.fast_call",
        "import mpcli.cli.fast_tasks, mpcli.verbs.tasks, mpcli.render.tasks",
        "import mpcli.bus, mpcli.bus.naming",
    ],
)
def test_what_is_hot_imports_nothing_heavy(code: str) -> None:
    assert not _modules_after(code) & set(HEAVY)


def test_the_first_prompt_of_the_shell_imports_no_command_line_no_rich_and_no_celery() -> None:
    code = "import mpcli.cli.entry, mpcli.cli.fast_shell, mpcli.cli.inside, mpcli.cli.tab, mpcli.shell.screen"
    heavy = {"typer", "pydantic", "rich", "celery", "kombu", "amqp", "cookiecutter", "tomllib", "mpcli.catalog.live"}
    assert not _modules_after(code) & heavy


def test_a_call_over_a_plain_connection_does_without_what_the_standard_library_has_around_sockets() -> None:
    code = "import mpcli.cli.entry, mpcli.cli.fast_call, mpcli.verbs.call, mpcli.verbs.checking, mpcli.wire.call\n"
    code += "from mpcli.wire.url import parse_urls; parse_urls('amqp://a:b@h/%2F')"
    assert not _modules_after(code) & {"socket", "selectors", "urllib.parse", "pathlib", "dataclasses", "typing"}


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mp {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nonsense"], "nonsense"),
        (["--nonsense"], "--nonsense"),
        (["tasks", "--nonsense"], "--nonsense"),
        (["completion"], "SHELL"),
        (["completion", "tcsh"], "tcsh"),
    ],
)
def test_a_usage_error_is_two_lines_and_exit_2(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 2
    assert said in err


def test_no_arguments_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "mp new service" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["new", "up", "down", "ps", "call", "tasks", "demo", "worker", "completion"])
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert "Example" in capsys.readouterr().out


def test_the_launcher_of_the_version_imports_no_re():
    """pip's own would, for what `mp --version` then costs half as much again; and it is there to be run."""
    from mpcli.cli import launcher

    assert os.access(launcher.__file__, os.X_OK)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", launcher.__file__, "--version"],
        env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "mpcli.cli.entry" in imported
    assert not imported & {"re", "enum", "json", "mpcli.errors"}


@pytest.mark.parametrize("folder", ["env", "an env, with spaces"])
def test_mp_starts_by_its_name_by_its_path_and_by_links_to_it(tmp_path: Path, folder: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / folder], check=True)
    scripts, rooms = tmp_path / folder / "bin", Path(cli.__file__).parent
    shutil.copy(rooms / "mp.sh", scripts / "mp")
    code = (rooms / "launcher.py").read_text()
    (scripts / ".mp-python").write_text(code.replace("#!python", f"#!{scripts / 'python'}", 1))  # as pip does
    (tmp_path / "near").symlink_to(Path(folder, "bin", "mp"))
    (tmp_path / "far").symlink_to(tmp_path / "near")
    env = {"PYTHONPATH": ":".join(sys.path), "PATH": f"{scripts}:{os.environ['PATH']}"}
    for name in ("mp", str(scripts / "mp"), f"./{folder}/bin/mp", "./near", str(tmp_path / "far")):
        done = subprocess.run([name, "--version"], check=False, env=env, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"mp {__version__}\n", ""), name


SWALLOWED = """
import signal, sys, time, weakref
from mpcli.cli.entry import hear_again

class Gone: ...

sys.unraisablehook = hear_again
gone = Gone()
kept = weakref.ref(gone, lambda _: signal.raise_signal(signal.SIGINT))
try:
    del gone
    time.sleep(60)
except KeyboardInterrupt:
    print("heard")
"""


def test_ctrl_c_that_python_swallows_is_heard() -> None:
    done = subprocess.run([sys.executable, "-c", SWALLOWED], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard\n", "")


def test_ctrl_c_as_a_class_is_made_is_one() -> None:
    class Named:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, RuntimeError)) as raised:
        type("Owner", (), {"named": Named()})
    assert isinstance(raised.value, KeyboardInterrupt) or is_interrupt(raised.value)
    assert not is_interrupt(RuntimeError("another one"))


def test_ctrl_c_in_a_command_is_never_silent() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    app = typer.Typer()
    app.command()(interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_command(typer.main.get_command(app), ["--"])
