"""Tasks that are done some time; nobody waits for what they return."""

from __future__ import annotations
{% if cookiecutter.stubs.async %}

{% for line in cookiecutter.imports.async %}
{{ line }}
{% endfor %}
{% if cookiecutter.imports.async %}

{% endif %}
from {{ cookiecutter.service }}.apps import async_app
{% for stub in cookiecutter.stubs.async %}


@async_app.task
{{ stub.definition }}
    """Not written yet. The first line here is what `mp tasks` shows."""
    raise NotImplementedError("{{ stub.task }} is a stub: write it in {{ cookiecutter.service }}/async_tasks.py")
{% endfor %}
{% else %}

# The first one: `from {{ cookiecutter.service }}.apps import async_app`, and a function under `@async_app.task`.
{% endif %}
