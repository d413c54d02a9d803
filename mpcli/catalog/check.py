"""The arguments of a call held against the task's signature, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpcli.errors import UsageError

Parameters = Sequence[Mapping[str, object]]

_BY_POSITION = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")


class ArgumentsRefused(UsageError):
    """The arguments do not fit the signature, which the hint shows."""


def check(
    task: str, parameters: Parameters, args: Sequence[object], kwargs: Mapping[str, object], returns: object = None
) -> tuple[list[object], dict[str, object]]:
    """The arguments as the task wants them: text converted where a number, a bool, a date and so on is annotated.

    `parameters` are dicts as the source scan and `mp_describe` give them: name, kind, annotation, default, required. A
    positional-only parameter may be given by its name. What cannot be judged is let through. Raises
    `ArgumentsRefused` for an unknown name, a missing argument, one too many, one given twice, one of another type.
    """
    call = _Call(task, parameters, returns)
    positional, named = call.place(list(args), dict(kwargs))
    call.refuse_missing(positional, named)
    return call.convert(positional, named)


class _Call:
    def __init__(self, task: str, parameters: Parameters, returns: object) -> None:
        self.task = task
        self.parameters = parameters
        self.returns = returns
        self.positional = [one for one in parameters if one["kind"] in _BY_POSITION]
        self.by_name = {str(one["name"]): one for one in parameters if not str(one["kind"]).startswith("VAR_")}
        self.only_positional = [str(one["name"]) for one in parameters if one["kind"] == "POSITIONAL_ONLY"]
        self.rest = next((one for one in parameters if one["kind"] == "VAR_POSITIONAL"), None)
        self.others = next((one for one in parameters if one["kind"] == "VAR_KEYWORD"), None)

    def place(self, args: list[object], kwargs: dict[str, object]) -> tuple[list[object], dict[str, object]]:
        """Each argument where it belongs; unknown ones, and those too many or given twice, are refused."""
        if len(args) > len(self.positional) and self.rest is None:
            count = len(self.positional)
            takes = "none by position" if not count else f"at most {count} by position"
            raise self.refusal(f"{len(args)} positional arguments are too many: it takes {takes}")
        for parameter in self.positional[: len(args)]:
            if (name := str(parameter["name"])) in kwargs and not self.is_hidden(name):
                raise self.refusal(f"{name!r} is given twice, by position and by name")
        for name in [] if self.others else self.only_positional[len(args) :]:
            if name not in kwargs:
                break
            args.append(kwargs.pop(name))
        for name in kwargs:
            if self.others is None and name in self.only_positional:
                raise self.refusal(f"{name!r} is given by position, and one before it is missing", "--args '[...]'")
            if self.others is None and name not in self.by_name:
                raise self.refusal(f"there is no parameter {name!r}", self.nearest(name))
        return args, kwargs

    def is_hidden(self, name: str) -> bool:
        """Whether an argument of this name goes to `**kwargs`, although there is a parameter of the name."""
        return self.others is not None and name in self.only_positional

    def nearest(self, name: str) -> str:
        from difflib import get_close_matches

        close = get_close_matches(str(name), list(self.by_name), n=1, cutoff=0.5)
        return f"did you mean {close[0]}?" if close else ""

    def refuse_missing(self, args: list[object], kwargs: dict[str, object]) -> None:
        given = {str(one["name"]) for one in self.positional[: len(args)]}
        given |= {name for name in kwargs if not self.is_hidden(name)}
        missing = [name for name, one in self.by_name.items() if one["required"] and name not in given]
        if missing:
            names = ", ".join(map(repr, missing))
            raise self.refusal(f"{names} {'is' if len(missing) == 1 else 'are'} missing")

    def convert(self, args: list[object], kwargs: dict[str, object]) -> tuple[list[object], dict[str, object]]:
        slots = [*self.positional[: len(args)], *([self.rest] if self.rest else []) * len(args)]
        made = [
            self.fitted(self.label(number, slot), value, slot)
            for number, (value, slot) in enumerate(zip(args, slots, strict=False), 1)
        ]
        named = {}
        for name, value in kwargs.items():
            slot = self.others if name not in self.by_name or self.is_hidden(name) else self.by_name[name]
            assert slot is not None
            named[name] = self.fitted(name, value, slot)
        return made, named

    def label(self, number: int, slot: Mapping[str, object]) -> str:
        return f"argument {number}" if slot is self.rest else str(slot["name"])

    def fitted(self, label: str, value: object, slot: Mapping[str, object]) -> object:
        if slot["annotation"] is None or (value is None and slot["default"] == "None"):
            return value
        if slot["annotation"] == "str" and isinstance(value, str):
            return value  # what is typed most, and spares the import
        from mpcli.catalog.fitting import Misfit, fit

        try:
            return fit(value, str(slot["annotation"]))
        except Misfit as misfit:
            raise self.refusal(f"{label}{misfit.path} {misfit.why}") from None

    def refusal(self, why: str, advice: str = "") -> ArgumentsRefused:
        from mpcli.catalog.signature import signature

        shown = signature(self.parameters, self.returns)
        hint = f"{self.task}{shown}; --no-check sends it as it is"
        return ArgumentsRefused(f"{self.task}: {why}", f"{advice} {hint}" if advice else hint)
