"""Messages on disk: the format of a line, who writes it, who reads it."""
