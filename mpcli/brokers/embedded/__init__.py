"""The development broker: AMQP 0-9-1 in pure Python, on the project's own wire codec."""
