"""Where the cursor stands: read from the text in front of it, at each keystroke, whether or not it is valid yet."""

from __future__ import annotations

import re

# A line editor is for lines: what is further away than this is not looked at.
_LOOK_BACK = 4_000
_NAME = r"[^\W\d]\w*"
_TOKEN = re.compile(
    rf'''(?P<string>(?:[rRbBfFuU]{{1,2}})?(?P<quote>"""|\'\'\'|"|\'))
    |(?P<comment>\#[^\n]*)
    |(?P<number>\d[\w.]*)
    |(?P<name>{_NAME}(?:[ ]?\.[ ]?{_NAME})*\.?)
    |(?P<open>[(\[{{])|(?P<close>[)\]}}])
    |(?P<sign>==|<=|>=|!=|:=|[^\w\s])''',
    re.VERBOSE,
)
_STRING_END = {
    **{quote: re.compile(rf"(?:[^\\{quote}\n]|\\.)*+{quote}", re.DOTALL) for quote in ('"', "'")},
    **{quote: re.compile(rf"(?:[^\\]|\\.)*?{quote}", re.DOTALL) for quote in ('"""', "'''")},
}


class Call:
    """An open parenthesis, bracket or brace. `name` is what is called or subscripted, as it was typed; empty for none.

    `given` are the arguments that were named so far, `position` counts the unnamed ones in front of the cursor,
    `keyword` is the one whose value is being typed.
    """

    __slots__ = ("argument", "begun", "given", "is_at_key", "keyword", "name", "position", "sign", "start")

    def __init__(self, sign: str, name: str, start: int, begun: int | None = None) -> None:
        self.sign = sign
        self.name = name
        self.start = start
        # Where `name` begins, and where the argument does that is being typed.
        self.begun = begun
        self.argument = start + 1
        self.given: list[str] = []
        self.position = 0
        self.keyword = ""
        # In a brace: a key comes here and not a value.
        self.is_at_key = True


class Place:
    """What is under the cursor: the unfinished `word` (dotted, may be empty) that began at `start`, and around it.

    `quote` is the opening quote of an unfinished string, whose content is `word` then. `calls` are the open brackets,
    the innermost last. `before` is what stands in front of the word: a sign, a name, or nothing. `owner` is the
    expression whose attribute the word is, where that is more than a dotted name: `u["user"]` in `u["user"].na`.
    """

    __slots__ = ("before", "calls", "is_comment", "owner", "quote", "start", "word")

    def __init__(self) -> None:
        self.word = ""
        self.start = 0
        self.quote = ""
        self.before = ""
        self.owner = ""
        self.calls: list[Call] = []
        self.is_comment = False

    @property
    def call(self) -> Call | None:
        """The innermost open call of something that has a name: that whose signature is wanted."""
        return next((call for call in reversed(self.calls) if call.sign == "(" and call.name), None)

    @property
    def is_argument(self) -> bool:
        """Whether an argument begins here, where its name may stand."""
        return bool(self.calls) and self.calls[-1].sign == "(" and self.before in ("(", ",") and not self.quote


def place(text: str) -> Place:
    """Where the end of `text` stands."""
    offset = max(0, len(text) - _LOOK_BACK)
    if offset:
        offset = text.find("\n", offset) + 1 or offset
    return _Reader(text, offset).read()


class _Reader:
    """One pass over the tokens."""

    def __init__(self, text: str, offset: int) -> None:
        self.text = text
        self.at = offset
        self.found = Place()
        # Where the expression began that ends here, as `u["user"]`: what a bracket is put behind. None when none does.
        self.begun: int | None = None
        self.name = ""

    def read(self) -> Place:
        found, text = self.found, self.text
        found.start = len(text)
        while (token := _TOKEN.search(text, self.at)) is not None:
            self.at = token.end()
            kind, value = token.lastgroup, token.group()
            if kind in ("string", "quote"):
                if self._string(token):
                    return found
            elif kind == "comment":
                found.is_comment = self.at == len(text)
            elif kind == "name" and self.at == len(text):
                found.word, found.start = value.replace(" ", ""), token.start()
                if found.before == "." and self.begun is not None:
                    found.owner = text[self.begun : token.start() - 1].strip()
                return found
            elif kind == "number" and self.at == len(text):
                found.before = value  # nothing completes a number
            else:
                self._take(str(kind), value, token.start())
        if found.before == "." and self.begun is not None:
            found.owner = text[self.begun : text.rindex(".")].strip()
        return found

    def _string(self, token: re.Match[str]) -> bool:
        """Whether the string is not finished, and so the cursor in it."""
        quote = token.group("quote")
        end = _STRING_END[quote].match(self.text, self.at)
        if end is None:
            newline = self.text.find("\n", self.at) if len(quote) == 1 else -1
            if newline < 0:
                self.found.quote, self.found.start = quote, self.at
                self.found.word = self.text[self.at :]
                return True
            self.at = newline
        else:
            self.at = end.end()
        self.name, self.begun, self.found.before = "", None, '"'
        return False

    def _take(self, kind: str, value: str, start: int) -> None:
        calls = self.found.calls
        if kind == "open":
            subject = "" if self.begun is None else self.text[self.begun : start]
            calls.append(Call(value, subject.strip(), start, self.begun))
            self.begun = None
        elif kind == "close":
            self.begun = calls.pop().begun if calls else None
        elif kind == "name":
            # Behind a closing bracket a name goes on with the expression: `f(a).b`.
            self.begun = start if self.found.before != "." or self.begun is None else self.begun
        else:
            if kind == "sign":
                self._sign(value, start)
            self.begun = self.begun if value == "." else None
        self.name = value.replace(" ", "") if kind == "name" else ""
        self.found.before = value

    def _sign(self, value: str, start: int) -> None:
        call = self.found.calls[-1] if self.found.calls else None
        if call is None:
            return
        if value == ",":
            call.position += not call.keyword
            call.keyword = ""
            call.argument = start + 1
            call.is_at_key = True
        elif value == "=" and call.sign == "(" and self.name and not call.keyword:
            call.keyword = self.name
            call.given.append(self.name)
        elif value == ":":
            call.is_at_key = False
