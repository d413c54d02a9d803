"""The service {{ cookiecutter.service }}."""
