"""typer: parse, call one verb, choose a renderer."""
