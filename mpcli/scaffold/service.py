"""What a service is rendered from: answers that are checked here and kept in the service's pyproject.toml."""

from __future__ import annotations

import json
import sys

from mpcli import __version__
from mpcli.bus.naming import DEFAULT_PREFIX, Mode, check_service
from mpcli.errors import InvalidName, UsageError
from mpcli.scaffold.annotation import names_in
from mpcli.scaffold.signature import Stub, imports, parse_stubs
from mpcli.scaffold.templates import EXAMPLES, SERVICE_LAYERS, Rendering, template_version

# A service's package of this name would hide a module that the service itself imports, or its own tests.
_RESERVED = frozenset({"amqp", "billiard", "celery", "kombu", "mpcli", "pytest", "tests", "vine"})


def service_rendering(
    service: str, prefix: str = DEFAULT_PREFIX, tasks: tuple[str, ...] = (), example: str = ""
) -> Rendering:
    """Check the answers and say what to render. Raises `InvalidName` or `UsageError`, each with a suggestion."""
    check_service(service, prefix)
    if service in _RESERVED or service in sys.stdlib_module_names:
        raise InvalidName(f"{service!r} is the name of a Python package that services import", f"{service}s is free")
    if example and tasks:
        raise UsageError("an example has its own tasks: --example and --task exclude each other", "give one of the two")
    if example and example not in EXAMPLES:
        raise UsageError(f"there is no example {example!r}", f"one of {', '.join(EXAMPLES)}")
    kind = example or ("stubs" if tasks else "journal")
    stubs = parse_stubs(list(tasks), service)
    answers: dict[str, object] = {
        "service": service,
        "prefix": prefix,
        "kind": kind,
        "wallet": f"{prefix}wallet",
        "env": service.upper(),
        "stubs": {str(mode): [_fields(stub, service) for stub in stubs if stub.mode is mode] for mode in Mode},
        "imports": _imports(stubs),
        "example_toml": json.dumps(example),
        "tasks_toml": json.dumps([str(stub) for stub in stubs], ensure_ascii=False),
        "mpcli": __version__,
        "template_version": template_version("service"),
    }
    return Rendering(SERVICE_LAYERS[kind], service, answers)


def _imports(stubs: list[Stub]) -> dict[str, list[str]]:
    """The import lines of the two modules of tasks and of the tests, which use the types in their sample values."""
    names = {str(mode): [stub.types for stub in stubs if stub.mode is mode] for mode in Mode}
    names["tests"] = [names_in(f"_({stub.sample_arguments()})") for stub in stubs]
    return {module: imports(set[str]().union(*used)) for module, used in names.items()}


def _fields(stub: Stub, service: str) -> dict[str, object]:
    return {
        "name": stub.name,
        "task": f"{service}.{stub.mode}.{stub.name}",
        "definition": stub.definition(),
        "signature": str(stub),
        "sample": stub.sample_arguments(),
    }
