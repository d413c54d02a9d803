"""A disk that is full at a place of our choice; and examples that may take their time, for a machine may be busy."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("busy", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@contextmanager
def _no_room(path: Path, more: int) -> Iterator[None]:
    """No file of this process may grow beyond the size of `path` and so many bytes more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size if path.exists() else 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def no_room() -> Callable[[Path, int], AbstractContextManager[None]]:
    return _no_room
