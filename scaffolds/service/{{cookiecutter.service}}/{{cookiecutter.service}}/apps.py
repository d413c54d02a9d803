"""The two Celery applications of the service; `celery -A {{ cookiecutter.service }}.apps:sync_app worker` runs one of them."""

from mpcli.bus import service_apps

sync_app, async_app = service_apps(
    "{{ cookiecutter.service }}",
    include=["{{ cookiecutter.service }}.sync_tasks", "{{ cookiecutter.service }}.async_tasks"],
{% if cookiecutter.prefix != "mp" %}
    prefix="{{ cookiecutter.prefix }}",
{% endif %}
)
