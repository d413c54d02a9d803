"""The tasks, called as plain functions (a decorated task still is one), and through a broker with real workers."""

{% if cookiecutter.stubs.async %}
import time
{% endif %}
{% for line in cookiecutter.imports.tests %}
{{ line }}
{% endfor %}
{% if cookiecutter.imports.tests or cookiecutter.stubs.async %}

{% endif %}
import pytest
{% if cookiecutter.stubs.async %}
from mpcli.brokers.embedded import DevBroker
{% endif %}
from mpcli.bus import Caller
{% if cookiecutter.stubs.sync %}
from mpcli.errors import RemoteError
{% endif %}
{% set modes = (["async_tasks"] if cookiecutter.stubs.async else []) + (["sync_tasks"] if cookiecutter.stubs.sync else []) %}

from {{ cookiecutter.service }} import {{ modes | join(", ") }}

# Each of these says what holds now. When you write the task, replace its test by what the task must do.
{% for mode in ["sync", "async"] %}
{% for stub in cookiecutter.stubs[mode] %}


def test_{{ mode }}_{{ stub.name }}_says_that_it_is_not_written() -> None:
    with pytest.raises(NotImplementedError, match=r"{{ stub.task | replace(".", "\\.") }} is a stub"):
        {{ mode }}_tasks.{{ stub.name }}({{ stub.sample }})
{% endfor %}
{% endfor %}
{% for stub in cookiecutter.stubs.sync[:1] %}


def test_the_sync_worker_answers(caller: Caller) -> None:
    with pytest.raises(RemoteError, match="{{ stub.name }} is a stub") as caught:
        caller.call("{{ stub.task }}"{{ ", " if stub.sample }}{{ stub.sample }})
    assert caught.value.type_name.endswith("NotImplementedError")
{% endfor %}
{% for stub in cookiecutter.stubs.async[:1] %}


def test_the_async_worker_keeps_what_failed_as_a_dead_letter(caller: Caller, mp_broker_server: DevBroker) -> None:
    caller.send("{{ stub.task }}"{{ ", " if stub.sample }}{{ stub.sample }})

    deadline = time.monotonic() + 60
    while mp_broker_server.queues()["{{ cookiecutter.service }}.dead"] != 1:
        assert time.monotonic() < deadline, "the message never became a dead letter"
        time.sleep(0.02)
{% endfor %}
