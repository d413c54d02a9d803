"""`mp trace`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpcli.cli.options import Context, JsonObject, Yes

if TYPE_CHECKING:
    from collections.abc import Generator

    from mpcli.render.message import Parameters
    from mpcli.verbs.trace import Trace
    from mpcli.verbs.trace_live import Tapping, TraceEvent


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trace")(trace)


def trace(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID [FILE]", help="An id or its beginning, and a recording; or a call's arguments."),
    ] = None,
    call: Annotated[str, typer.Option(metavar="TASK", help="Call this task, and trace what comes of it.")] = "",
    for_: Annotated[str, typer.Option("--for", metavar="TIME", help="Watch no longer: 30s, 5m.")] = "30s",
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it, as a waterfall.")] = None,
    service: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="What to tap; else all.")] = None,
    as_json: JsonObject = False,
    context: Context = None,
    yes: Yes = False,
) -> None:
    """Show what came of one request: a tree over services and both brokers, with waits and run times.

    With FILE the trace is read from a recording. Without one it is tapped live, from now until every task of it has
    ended. The id of any task in it will do, or the beginning of one.

    Example: mp trace --call mplogin.sync.register user_obj:='{"email": "a@b.c"}' --svg register.svg
    """
    from mpcli.cli.moments import parse_duration
    from mpcli.verbs.parameters import parameter_names

    given, seconds = words or [], parse_duration(for_)
    show = _Screen(as_json, svg, parameter_names(Path.cwd()))
    if call:
        show.follow(_calling(call, given, service, seconds, context, yes))
    elif len(given) == 2:
        from mpcli.verbs.trace import trace_file

        show.show(trace_file(Path(given[1]), given[0]))
    else:
        from mpcli.errors import UsageError
        from mpcli.verbs.trace_live import trace_live

        if len(given) != 1:
            raise UsageError("which trace?", "mp trace ID, mp trace ID FILE, or mp trace --call TASK [ITEM]...")
        show.follow(trace_live(Path.cwd(), given[0], services=service, seconds=seconds, context=context))


def _calling(
    task: str, items: list[str], services: list[str] | None, seconds: float, context: str | None, yes: bool
) -> Generator[TraceEvent, None, None]:
    from mpcli.cli.arguments import CallOptions, build_request
    from mpcli.render.asking import asker
    from mpcli.render.console import print_note
    from mpcli.verbs.trace_live import trace_call

    request = build_request(task, items, None, None, CallOptions())
    return trace_call(
        Path.cwd(),
        request.task,
        request.args,
        request.kwargs,
        services=services,
        seconds=seconds,
        context=context,
        yes=yes,
        ask=asker(),
        note=lambda text: print_note(f"mp: {text}"),
    )


class _Screen:
    """Shows a trace where it is wanted."""

    def __init__(self, as_json: bool, svg: Path | None, parameters: Parameters) -> None:
        from mpcli.render.console import wants_json

        self._as_json = wants_json(as_json)
        self._svg = svg
        self._parameters = parameters
        if svg is not None:
            from mpcli.render.waterfall import check_picture

            check_picture(svg)

    def show(self, trace: Trace) -> None:
        from mpcli.render.console import print_note
        from mpcli.render.trace import show_trace
        from mpcli.render.waterfall import write_picture

        show_trace(trace, self._as_json, self._parameters)
        if self._svg is not None:
            write_picture(self._svg, trace, self._parameters)
            print_note(f"mp: drawn in {self._svg}")

    def follow(self, events: Generator[TraceEvent, None, None]) -> None:
        """Show it when it is there; what there is, when it is interrupted."""
        from contextlib import closing

        from mpcli.render.console import print_note, wants_colour
        from mpcli.render.trace import GrowingTree
        from mpcli.verbs.trace_live import Growing, Tapping

        tapping: Tapping | None = None
        growing = GrowingTree(self._parameters)
        animated = not self._as_json and wants_colour(True)
        with closing(events), closing(growing):
            try:
                for event in events:
                    if isinstance(event, Tapping):
                        tapping = event
                        print_note(f"mp: tapping {', '.join(event.services)}; Ctrl-C shows what there is")
                    elif isinstance(event, Growing):
                        if animated:
                            growing.show(event.trace)
                    else:
                        growing.close()
                        self.show(event)
            except KeyboardInterrupt:
                growing.close()
                self._show_so_far(tapping)
                raise

    def _show_so_far(self, tapping: Tapping | None) -> None:
        from mpcli.errors import Interrupted
        from mpcli.render.console import end_interrupted_line

        found = tapping.so_far() if tapping is not None else None
        if found is None:
            raise Interrupted("interrupted: nothing of it passed so far") from None
        end_interrupted_line()
        self.show(found)
