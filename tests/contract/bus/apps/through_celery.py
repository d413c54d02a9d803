"""A service that sends by Celery's own means; a process of its own, since Celery closes its sockets by ending."""

from amqp.exceptions import NotFound
from services import alpha_async, alpha_sync, note

from mpcli.errors import UsageError


def refusal(send):
    try:
        send()
    except (NotFound, UsageError) as error:
        return type(error).__name__
    return "nothing"


note.delay("by celery")
print(refusal(lambda: alpha_sync.send_task("mpnobody.sync.add")))
print(refusal(lambda: alpha_async.send_task("mpnobody.async.add")))
print(refusal(lambda: alpha_sync.send_task("mpalpha.async.note", ("x",))))
print(alpha_sync.send_task("mpalpha.sync.add", (1,)).get(timeout=40))
