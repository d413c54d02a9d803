"""The looks. Only the terminal's own sixteen colours, so that they follow its theme, light or dark; without colours
what has to stand out is reversed, bold or underlined."""

from __future__ import annotations

from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from mpcli.render.console import wants_colour

_COMMON = {
    "bottom-toolbar": "noreverse",
    "bottom-toolbar.text": "",
    "signature.current": "bold underline",
    "completion-toolbar": "noreverse",
    "validation-toolbar": "reverse",
}
_COLOURED = {
    **_COMMON,
    "context": "fg:ansigreen bold",
    "context.careful": "fg:ansired bold",
    "careful": "fg:ansired",
    "good": "fg:ansigreen",
    "bad": "fg:ansired bold",
    "unknown": "fg:ansibrightblack",
    "bar": "fg:ansibrightblack",
    "keys": "fg:ansibrightblack",
    "notice": "fg:ansiyellow",
    "signature": "fg:ansicyan",
    "signature.current": "fg:ansicyan bold underline",
    "auto-suggestion": "fg:ansibrightblack",
    # Black with white on it can be read on every theme, be it light or dark.
    "completion-menu": "bg:ansiblack fg:ansiwhite",
    "completion-menu.completion": "bg:ansiblack fg:ansiwhite",
    "completion-menu.completion.current": "noreverse bg:ansicyan fg:ansiblack",
    "completion-menu.meta.completion": "bg:ansiblack fg:ansigray",
    "completion-menu.meta.completion.current": "bg:ansiblack fg:ansiwhite bold",
    "scrollbar.background": "bg:ansigray",
    "scrollbar.button": "bg:ansiblack",
    "validation-toolbar": "fg:ansired",
    "form.name": "bold",
    "form.about": "fg:ansibrightblack",
}
_PLAIN = {
    **_COMMON,
    "context": "bold",
    "context.careful": "bold",
    "auto-suggestion": "italic",
    "completion-menu": "",
    "completion-menu.completion": "",
    "completion-menu.completion.current": "reverse",
    "completion-menu.meta.completion": "",
    "completion-menu.meta.completion.current": "bold",
    "scrollbar.background": "",
    "scrollbar.button": "reverse",
    "form.name": "bold",
}


def style() -> Style:
    """As NO_COLOR and the terminal have it."""
    return Style.from_dict(_COLOURED if wants_colour(True) else _PLAIN)


def depth() -> ColorDepth:
    """How many colours may be sent."""
    return ColorDepth.DEPTH_4_BIT if wants_colour(True) else ColorDepth.DEPTH_1_BIT
