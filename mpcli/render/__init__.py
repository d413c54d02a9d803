"""rich for people, JSON for programs; the only room that writes to stdout and stderr."""
