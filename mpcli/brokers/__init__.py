"""Who runs a broker: embedded or rabbitmq, each behind the one small protocol in `provider`."""
