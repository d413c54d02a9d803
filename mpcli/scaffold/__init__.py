"""Rendering services and platforms from the templates in `scaffolds/`."""
