"""The tree of a trace: which root an id belongs to, and its tasks in the order of the tree."""

from __future__ import annotations

from collections.abc import Iterator

from mpcli.errors import UsageError
from mpcli.verbs.lineage import Step, as_id

_KINDS = (("chain", "chain"), ("callbacks", "callback"), ("errbacks", "errback"), ("chord", "chord"))
_NAMED = 5


class Roots:
    """The root of every task that was seen, and the roots that an id, or the beginning of one, means."""

    def __init__(self, wanted: str) -> None:
        """`wanted` is an id or the beginning of one; empty when `mean` will tell."""
        self._wanted = wanted
        self._roots: dict[str, str] = {}  # empty where nobody told
        self._tasks: dict[str, str] = {}
        self._meant: dict[str, None] = {}

    def add(self, task_id: str, root_id: str, task: str) -> None:
        """A task was seen. `root_id` may be empty; of several the first counts, whatever others tell later."""
        before = self._roots.get(task_id, "")
        root_id = self._roots[task_id] = before or root_id
        if task:
            self._tasks.setdefault(task_id, task)
        if root_id and not before and root_id != task_id and task_id in self._meant:
            del self._meant[task_id]  # told of before its root was known
            self._meant[root_id] = None
        root_id = root_id or task_id
        if self._wanted and (task_id.startswith(self._wanted) or root_id.startswith(self._wanted)):
            self._meant[root_id] = None

    def mean(self, task_id: str) -> None:
        """This is the one."""
        self._wanted = task_id
        self._meant = {self._root(task_id): None}

    def is_meant(self, task_id: str) -> bool:
        """Whether the task belongs to what is looked for."""
        return self._root(task_id) in self._meant

    def forget(self, task_id: str) -> None:
        """Make room."""
        self._roots.pop(task_id, None)
        self._meant.pop(task_id, None)
        self._tasks.pop(task_id, None)

    def _root(self, task_id: str) -> str:
        return self._roots.get(task_id) or task_id

    @property
    def found(self) -> str:
        """The root that is meant, empty while there is none. Raises `UsageError` when it is not the only one."""
        if self._wanted in self._roots:
            return self._root(self._wanted)
        if len(self._meant) < 2:
            return next(iter(self._meant), "")
        some = [f"{root} {self._tasks.get(root, '')}".strip() for root in list(self._meant)[:_NAMED]]
        more = f" and {len(self._meant) - _NAMED} more" if len(self._meant) > _NAMED else ""
        raise UsageError(
            f"{self._wanted!r} is the beginning of {len(self._meant)} roots", f"say more of it: {', '.join(some)}{more}"
        )

    def members(self, root_id: str) -> set[str]:
        """The ids of the tasks of a root."""
        return {root_id, *(task_id for task_id in self._roots if self._root(task_id) == root_id)}


def in_order(root_id: str, steps: dict[str, Step]) -> list[Step]:
    """The steps, parents in front of their children, with `depth` and `relation`; what is missing is filled in.

    Missing are a root and parents whose messages were not seen, and what a chain or a callback has still to send.
    """
    known = dict(steps)
    known.setdefault(root_id, Step(root_id))
    for step in list(steps.values()):
        if step.parent_id:
            known.setdefault(step.parent_id, Step(step.parent_id))
    relations: dict[str, str] = {}
    for step in list(known.values()):
        for relation, parent, task_id, task in _followers(step):
            relations[task_id] = relation
            if task_id not in known and relation != "errback":
                planned = known[task_id] = Step(task_id, step.broker, task)
                planned.parent_id, planned.planned = parent, True
    children: dict[str, list[Step]] = {}
    for step in known.values():
        step.relation = relations.get(step.id, "group" if step.group else "")
        if step.id != root_id:
            parent = step.parent_id if step.parent_id in known and step.parent_id != step.id else root_id
            children.setdefault(parent, []).append(step)
    return _walked(known[root_id], children, known)


def _walked(root: Step, children: dict[str, list[Step]], known: dict[str, Step]) -> list[Step]:
    """Depth first, without recursion: a chain may be thousands of tasks long."""
    ordered: dict[str, Step] = {}
    # Behind the tree come those whose parents go round in a circle, which only a damaged or hostile message makes.
    for start in (root, *known.values()):
        waiting = [(start, 0 if start is root else 1)]
        while waiting:
            step, depth = waiting.pop()
            if step.id in ordered:
                continue
            step.depth = depth
            ordered[step.id] = step
            below = sorted(children.get(step.id, ()), key=_place)
            waiting += [(child, depth + 1) for child in reversed(below)]
    return list(ordered.values())


def _place(step: Step) -> tuple[bool, float]:
    """Those that never began stand last."""
    begun = step.begun
    return begun is None, begun or 0.0


def _followers(step: Step) -> Iterator[tuple[str, str, str, str]]:
    """What hangs on a step by its own message: the relation, the parent's id, the id, the task."""
    embed = step.seen.view.embed if step.seen is not None else {}
    for name, relation in _KINDS:
        value = embed.get(name)
        parent = step.id
        # A chain stands in its message backwards: the next task last.
        for signature in reversed(value) if isinstance(value, list) else [value]:
            if not isinstance(signature, dict):
                continue
            options = signature.get("options")
            task_id = as_id(options.get("task_id")) if isinstance(options, dict) else ""
            if task_id:
                yield relation, parent, task_id, as_id(signature.get("task"))
                parent = task_id if relation == "chain" else parent
