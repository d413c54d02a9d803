"""A signature as Python writes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def signature(parameters: Iterable[Mapping[str, object]], returns: object = None) -> str:
    """The parameters as text: `(user_obj: dict, *, invite: str = '') -> dict`."""
    return f"({', '.join(words(parameters))})" + (f" -> {returns}" if returns else "")


def words(parameters: Iterable[Mapping[str, object]]) -> list[str]:
    """What stands between the commas: each parameter, and the signs `/` and `*`."""
    found: list[str] = []
    positional_only = keyword_only = False
    for parameter in parameters:
        kind = parameter["kind"]
        if positional_only and kind != "POSITIONAL_ONLY":
            found.append("/")
        positional_only = kind == "POSITIONAL_ONLY"
        if kind == "KEYWORD_ONLY" and not keyword_only:
            found.append("*")
        keyword_only = keyword_only or kind in ("KEYWORD_ONLY", "VAR_POSITIONAL")
        found.append(_parameter(parameter))
    if positional_only:
        found.append("/")
    return found


def _parameter(parameter: Mapping[str, object]) -> str:
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(str(parameter["kind"]), "")
    text = f"{stars}{parameter['name']}"
    if parameter["annotation"]:
        text += f": {parameter['annotation']}"
    if parameter["default"] is not None:
        text += f" = {parameter['default']}" if parameter["annotation"] else f"={parameter['default']}"
    return text
