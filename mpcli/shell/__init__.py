"""The REPL: any routed task under your fingers. `language` and `session` know no terminal; the line editor does."""
