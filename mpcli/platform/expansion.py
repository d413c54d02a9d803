"""`$VAR` and `${VAR}` in URLs: secrets stay in the environment and out of files that are committed."""

from __future__ import annotations

import os

from mpcli.errors import ConfigError

_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_LATER = _FIRST | frozenset("0123456789")


def expand(template: str, where: str) -> str:
    """The text with its variables replaced; `$$` is a dollar sign.

    In the user name and password of a URL a variable holds the plain secret: it is percent-encoded here, so that no
    sign in it can be taken for a part of the URL. Raises `ConfigError` for a variable that is not set or a `$` that
    begins none; `where` names the setting, and no value is shown.
    """
    done: list[str] = []
    position = 0
    while (dollar := template.find("$", position)) >= 0:
        done.append(template[position:dollar])
        if template.startswith("$$", dollar):
            done.append("$")
            position = dollar + 2
            continue
        name, position = _variable(template, dollar, where)
        value = os.environ.get(name)
        if value is None:
            raise ConfigError(f"{where}: ${name} is not set in the environment", f"export {name}=... first")
        done.append(_encoded(value, "") if _in_userinfo(template, dollar) else value)
    done.append(template[position:])
    return "".join(done)


def add_options(urls: str, options: dict[str, str]) -> str:
    """Each full URL of several, separated by `;`, with the options added to its query."""
    query = "&".join(f"{key}={_encoded(value, '/')}" for key, value in options.items())
    parts = urls.split(";")
    return ";".join(f"{part}{'&' if '?' in part else '?'}{query}" if "://" in part else part for part in parts)


def _variable(template: str, dollar: int, where: str) -> tuple[str, int]:
    """The name behind the dollar sign, and where the text goes on."""
    if template.startswith("${", dollar):
        end = template.find("}", dollar)
        name, after = template[dollar + 2 : end], end + 1
    else:
        end = dollar + 1
        while end < len(template) and template[end] in _LATER:
            end += 1
        name, after = template[dollar + 1 : end], end
    if not name or end < 0 or name[0] not in _FIRST or not set(name) <= _LATER:
        raise ConfigError(
            f"{where}: a $ in it begins no variable", "write $NAME or ${NAME}, and $$ for the sign itself"
        )
    return name, after


def _in_userinfo(template: str, position: int) -> bool:
    """Whether `position` lies between `://` and the `@` of the same URL."""
    start = template.rfind(";", 0, position) + 1
    end = template.find(";", position)
    one = template[start : end if end >= 0 else len(template)]
    scheme, separator, rest = one.partition("://")
    behind = position - start - len(scheme) - len(separator)
    return bool(separator) and 0 <= behind < rest.partition("/")[0].rfind("@")


def _encoded(value: str, safe: str) -> str:
    from urllib.parse import quote

    return quote(value, safe=safe)
