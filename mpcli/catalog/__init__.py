"""Which tasks exist: read from the services' source, asked from their live workers. Never imports a service."""
