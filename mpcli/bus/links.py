"""The links of this process: one for each broker, shared by all callers, forgotten in a forked child."""

from __future__ import annotations

import atexit
import os
import socket
import threading

from mpcli.bus.link import Link

_links: dict[str, Link] = {}
_users: dict[str, int] = {}
_lock = threading.Lock()


def link_to(url: str) -> Link:
    """The link of this process to the broker at `url`, made when there is none."""
    link = _links.get(url)
    if link is not None and link.usable:
        return link
    with _lock:
        link = _links.get(url)
        if link is None or not link.usable:
            host = socket.gethostname().partition(".")[0][:40]
            link = _links[url] = Link(url, f"mpcli {host} {os.getpid()}", f"mpcli.reply.{host}")
        return link


def use(url: str) -> None:
    """Count one more caller of the broker at `url`."""
    with _lock:
        _users[url] = _users.get(url, 0) + 1


def release(url: str) -> None:
    """Count one caller less; the link is closed with the last one."""
    with _lock:
        _users[url] = _users.get(url, 1) - 1
        link = _links.pop(url, None) if _users[url] <= 0 else None
    if link is not None and link.pid == os.getpid():
        link.close()


def close_all() -> None:
    """Close every link of this process."""
    with _lock:
        links = [link for link in _links.values() if link.pid == os.getpid()]
        _links.clear()
    for link in links:
        link.close()


def _after_fork() -> None:
    """A child has the parent's sockets but not its threads. Runs inside fork itself, before anybody can close or reuse
    the descriptors."""
    global _lock  # noqa: PLW0603 - another thread of the parent may hold the old one for ever
    _lock = threading.Lock()
    for link in _links.values():
        link.abandon()
    _links.clear()
    _users.clear()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(close_all)
