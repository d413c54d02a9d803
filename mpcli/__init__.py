"""`mp`, the developer's shell for a platform of Celery services on RabbitMQ."""

__version__ = "0.1.0"
