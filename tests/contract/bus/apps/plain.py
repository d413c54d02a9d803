"""A service that never heard of mpcli, and keeps the names."""

import os

from celery import Celery
from kombu import Exchange, Queue

app = Celery(broker=os.environ["MP_SYNC_URL"].replace("amqp://", "pyamqp://"), backend="rpc://")
app.conf.task_queues = [Queue("mpplain.sync", Exchange("mpplain", type="topic"), routing_key="mpplain.sync.#")]
app.conf.broker_connection_retry_on_startup = True


@app.task(name="mpplain.sync.upper")
def upper(text):
    return text.upper()
