"""What the tests share."""

from pathlib import Path

import pytest


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for what the service keeps."""
    monkeypatch.setenv("{{ cookiecutter.env }}_DATA", str(tmp_path))
    return tmp_path
