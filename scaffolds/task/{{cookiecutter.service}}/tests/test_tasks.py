"""The tasks, called as plain functions: a decorated task still is one."""

{% for line in cookiecutter.imports.tests %}
{{ line }}
{% endfor %}
{% if cookiecutter.imports.tests %}

{% endif %}
import pytest
{% set modes = (["async_tasks"] if cookiecutter.stubs.async else []) + (["sync_tasks"] if cookiecutter.stubs.sync else []) %}

from {{ cookiecutter.service }} import {{ modes | join(", ") }}

# Each of these says what holds now. When you write the task, replace its test by what the task must do.
{% for mode in ["sync", "async"] %}
{% for stub in cookiecutter.stubs[mode] %}


def test_{{ mode }}_{{ stub.name }}_says_that_it_is_not_written() -> None:
    with pytest.raises(NotImplementedError, match=r"{{ stub.task | replace(".", "\\.") }} is a stub"):
        {{ mode }}_tasks.{{ stub.sample_call }}
{% endfor %}
{% endfor %}
