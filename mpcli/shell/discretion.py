"""Which lines are not for the history: those that hold a secret, known by the name of what holds it."""

from __future__ import annotations

from mpcli.shell.cursor import place
from mpcli.shell.usage import names_in
from mpcli.shell.world import World

# In a longer one, with a task in it that takes secrets, one is taken for granted.
_LOOKED_AT = 300


def holds_secret(text: str, world: World) -> bool:
    """Whether a value stands behind a secret name: `password="x"`, `{"token": ...}`, a URL with a password, and an
    argument without a name whose parameter has one."""
    from mpcli.render.secrets import is_secret, masked_text

    if masked_text(text) != text:
        return True
    known = (world.task(name) for name in names_in(text))
    if not any(is_secret(one.name) for task in known if task for one in task.parameters or []):
        return False
    ends = [at for at, sign in enumerate(text) if sign in ",)"]
    return len(ends) > _LOOKED_AT or any(_is_secret_argument(text[:at], world) for at in ends)


def _is_secret_argument(begun: str, world: World) -> bool:
    from mpcli.render.secrets import is_secret

    call = place(begun).call
    task = world.task(call.name.replace(" ", "")) if call else None
    parameter = task.parameter_at(call.position, call.keyword) if call and task else None
    return parameter is not None and is_secret(parameter.name)
