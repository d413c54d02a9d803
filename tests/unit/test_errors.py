"""One class tree, one code for each kind, and no field lost on the way through a process boundary."""

import pickle
from pathlib import Path

import pytest

from mpcli import errors
from mpcli.errors import ExitCode, MpError, RemoteError

CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MpError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_each_error_has_a_documented_exit_code(kind: type[MpError]) -> None:
    table = (Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md").read_text()
    assert f"| {int(kind.exit_code)} |" in table
    assert kind.__doc__


def test_errors_keep_their_fields_across_processes() -> None:
    error = RemoteError("mplogin.sync.register", "ValueError", "no", "Traceback ...")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is RemoteError
    assert again.__dict__ == error.__dict__
    assert again.exit_code is ExitCode.TASK_RAISED
