"""The folder with `mp.toml`: its settings, the services in it, and what of it is running now."""
