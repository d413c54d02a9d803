"""AMQP 0-9-1 below Celery: the codec that the embedded broker and mp's own commands share, and a small client."""
