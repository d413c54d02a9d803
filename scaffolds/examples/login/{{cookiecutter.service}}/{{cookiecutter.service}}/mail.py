"""Mail, through the SMTP server that {{ cookiecutter.env }}_SMTP names as host:port.

When it names none, no mail leaves this machine: it is written into the folder `outbox` beside the database, and that is all.
"""

from __future__ import annotations

import logging
import os
import re
import smtplib
from email.message import EmailMessage

from {{ cookiecutter.service }}.storage import data_folder

_log = logging.getLogger(__name__)


def send_once(key: str, recipient: str, subject: str, text: str) -> None:
    """Send a mail unless one with this key was sent before. Its copy in the outbox is the memory of that."""
    # The key comes out of a message and becomes the name of a file.
    if not re.fullmatch(r"[\w@-][\w.@-]{0,199}", key):
        raise ValueError("the key of a mail is a word of letters, digits, dots, dashes")
    copy = data_folder() / "outbox" / f"{key}.eml"
    if copy.exists():
        return
    message = EmailMessage()
    message["From"] = os.environ.get("{{ cookiecutter.env }}_MAIL_FROM", "{{ cookiecutter.service }}@localhost")
    message["To"] = recipient
    message["Subject"] = subject
    message.set_content(text)
    server = os.environ.get("{{ cookiecutter.env }}_SMTP")
    if server:
        host, _, port = server.partition(":")
        with smtplib.SMTP(host, int(port or 25), timeout=10) as smtp:
            smtp.send_message(message)
    else:
        _log.warning("{{ cookiecutter.env }}_SMTP is not set: the mail to %s stays in %s", recipient, copy)
    copy.parent.mkdir(mode=0o700, exist_ok=True)
    partial = copy.with_suffix(f".{os.getpid()}")
    partial.write_bytes(bytes(message))
    partial.replace(copy)
