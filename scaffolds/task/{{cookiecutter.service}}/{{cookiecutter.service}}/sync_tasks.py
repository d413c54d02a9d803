"""Tasks that reply to their caller."""

from __future__ import annotations
{% if cookiecutter.stubs.sync %}

{% for line in cookiecutter.imports.sync %}
{{ line }}
{% endfor %}
{% if cookiecutter.imports.sync %}

{% endif %}
from {{ cookiecutter.service }}.apps import sync_app
{% for stub in cookiecutter.stubs.sync %}


@sync_app.task
{{ stub.definition }}
    """Not written yet. The first line here is what `mp tasks` shows."""
    raise NotImplementedError("{{ stub.task }} is a stub: write it in {{ cookiecutter.service }}/sync_tasks.py")
{% endfor %}
{% else %}

# The first one: `from {{ cookiecutter.service }}.apps import sync_app`, and a function under `@sync_app.task`.
{% endif %}
