"""Tasks that are done some time; nobody waits for what they return."""

from __future__ import annotations

from {{ cookiecutter.service }} import mail
from {{ cookiecutter.service }}.apps import async_app


@async_app.task
def send_welcome_email(user_id: str, email: str) -> None:
    """Send the welcome mail, once for each user: a message may be delivered more than once."""
    mail.send_once(f"welcome-{user_id}", email, "Welcome", "Your account is ready. It is good to have you here.")
