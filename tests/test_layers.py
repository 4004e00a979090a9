"""The imports point down, the rooms do not meet, files and functions stay small. Read from the source, not from memory.

`PARTS` says which part of `pipeline/` may import which.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("producer", "viewer", "workers")
FOLDERS = ("benchmarks", "commands", "fleet", "jobs", "pipeline", "training", *ROOMS)
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50

# What each part of `pipeline/` may import of the others; inside one, imports go in no circle.
PARTS = {
    "errors": set(),
    "ffmpeg": set(),
    "formats": set(),
    "photo_file": set(),
    "process": {"errors"},
    "protocol": {"errors"},
    "flow": {"errors", "protocol"},
    "server": {"errors", "process", "protocol", "flow"},
    "__init__": {"server"},
}
# What each may use beside the standard library. `redis` and `celery` have their own rule below.
OUTSIDE: dict[str, set[str]] = {
    "errors": set(),
    "ffmpeg": {"av", "cv2"},
    "formats": set(),
    "photo_file": {"PIL", "pi_heif"},
    "process": {"pydantic", "pydantic_settings"},
    "protocol": {"numpy", "cv2", "msgpack"},
    "flow": set(),
    "server": {"redis", "celery", "kombu"},
    "__init__": {"celery"},
}
# Who alone may use a package, each place a file or a folder.
ONLY_IN = {
    "torch": {"workers", "training", "benchmarks"},
    "openvino": {"commands/doctor.py", "workers/openvino_engine.py", "training", "benchmarks"},
    "celery": {
        "commands/celery.py",
        "pipeline/server/app.py",
        "pipeline/__init__.py",
        "workers/tasks.py",
        "workers/events.py",
    },
    "kombu": {"pipeline/server/app.py", "pipeline/protocol/queues.py", "workers/tasks.py", "workers/events.py"},
    "redis": {"pipeline/server/connection.py", "pipeline/server/transport.py", "benchmarks"},
    "msgpack": {"pipeline/protocol/wire.py", "benchmarks"},
    "av": {"pipeline/ffmpeg.py", "producer", "viewer", "benchmarks", "commands/doctor.py"},
    "prometheus_client": {"fleet", "viewer"},
    "typer": {"cli.py", "commands"},
    "rich": {"cli.py", "commands", "benchmarks"},
}
NEVER = {"pickle", "marshal", "shelve", "dill", "joblib"}


@dataclass(frozen=True, slots=True)
class Import:
    """One import: who, whom, on which line, and whether it runs when the module is loaded."""

    where: str
    line: int
    target: str
    at_load: bool

    @property
    def package(self) -> str:
        return self.target.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.where}:{self.line} imports {self.target}"


def _sources() -> list[Path]:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return [*files, *sorted(ROOT.glob("*.py"))]


def _is_typing_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _walk(node: ast.AST, *, at_load: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node that ever runs, and whether it runs when the module is loaded."""
    for child in ast.iter_child_nodes(node):
        if _is_typing_block(child):
            continue
        yield child, at_load
        deeper = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _walk(child, at_load=at_load and not deeper)


def _imports(path: Path) -> Iterator[Import]:
    where = path.relative_to(ROOT).as_posix()
    for node, at_load in _walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(where, node.lineno, alias.name, at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where}:{node.lineno} is relative; write the whole name"
            # `from pipeline.protocol import colour` names a module, `from pipeline.errors import …` something in one.
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                is_module = (ROOT / f"{whole.replace('.', '/')}.py").exists()
                yield Import(where, node.lineno, whole if is_module else str(node.module), at_load)


IMPORTS = [found for path in _sources() for found in _imports(path)]


def _allowed(found: Import, places: set[str]) -> bool:
    return found.where in places or found.where.partition("/")[0] in places


def _wrong(found: Import) -> str | None:
    """Return what is wrong with an import, judged by the room it stands in."""
    room, ours = found.where.partition("/")[0], found.package in FOLDERS or found.package in ("cli", "celeryconfig")
    permitted = {
        "pipeline": {"pipeline", "celeryconfig"},
        "celeryconfig.py": {"pipeline"},
        "fleet": {"pipeline", "fleet"},
        "producer": {"pipeline", "producer"},
        "viewer": {"pipeline", "fleet", "viewer"},
        "workers": {"pipeline", "workers"},
        "training": {"pipeline", "workers", "training"},
        "jobs": {"pipeline", *ROOMS, "jobs"},
        "benchmarks": {*FOLDERS} - {"commands"},
        "commands": {*FOLDERS},
        "cli.py": {"pipeline", "commands"},
    }[room]
    if ours and found.package not in permitted:
        return f"{room} must not know {found.package}"
    if found.package in ONLY_IN and not _allowed(found, ONLY_IN[found.package]):
        return f"only {', '.join(sorted(ONLY_IN[found.package]))} may"
    return "it can run code it was sent" if found.package in NEVER else None


def test_rooms_use_only_what_is_theirs() -> None:
    assert [f"{found}: {why}" for found in IMPORTS if (why := _wrong(found))] == []


def _part(name: str) -> str:
    """Return the part of `pipeline/` of "pipeline/flow/window.py", or of "pipeline.flow.window"."""
    return name.removesuffix(".py").replace("/", ".").split(".")[1]


def test_every_pipeline_module_is_in_a_part() -> None:
    found = {_part(path.relative_to(ROOT).as_posix()) for path in (ROOT / "pipeline").rglob("*.py")}
    assert found == PARTS.keys()


def test_pipelines_parts_import_only_what_is_below_them() -> None:
    pairs = [
        (found, _part(found.where), _part(found.target))
        for found in IMPORTS
        if found.where.startswith("pipeline/") and found.target.startswith("pipeline.")
    ]
    assert pairs
    assert [str(found) for found, mine, other in pairs if other not in PARTS[mine] | {mine}] == []


def test_pipelines_parts_use_only_their_packages() -> None:
    outside = [
        found
        for found in IMPORTS
        if found.where.startswith("pipeline/") and found.package not in {*sys.stdlib_module_names, "pipeline"}
    ]
    # The queue order is a class Celery loads by name and derives from kombu's; it holds no connection.
    # Celery's settings are a module of its own because Celery wants them so.
    excused = {("pipeline/protocol/queues.py", "kombu"), ("pipeline/server/app.py", "celeryconfig")}
    assert [
        str(found)
        for found in outside
        if found.package not in OUTSIDE[_part(found.where)] and (found.where, found.package) not in excused
    ] == []


def test_no_import_goes_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for found in IMPORTS:
        if found.package in FOLDERS:
            # Lazy imports count too: a late import that hides a circle is one.
            graph.setdefault(found.where.removesuffix(".py").replace("/", "."), set()).add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports go in a circle: {' → '.join(error.args[1])}")


def test_opencv_is_imported_before_av() -> None:
    """The other order makes `cv2.imshow` hang for ever."""
    by_module: dict[str, list[str]] = {}
    for found in IMPORTS:
        by_module.setdefault(found.where, []).append(found.package)
    users = {where: packages for where, packages in by_module.items() if "av" in packages}
    assert users, "nobody imports av: has the folder moved?"
    assert [w for w, p in users.items() if "cv2" not in p or p.index("cv2") > p.index("av")] == []


def test_nothing_imports_commands() -> None:
    # `cli.py` finds them by name.
    assert [
        str(found)
        for found in IMPORTS
        if found.package in ("commands", "cli") and found.where.partition("/")[0] != "commands"
    ] == []


def test_tools_are_imported_only_by_commands_and_one_another() -> None:
    tools = ("training", "benchmarks")
    assert [
        str(found)
        for found in IMPORTS
        if found.package in tools and found.where.partition("/")[0] not in {*tools, "commands"}
    ] == []


def test_files_are_short() -> None:
    files = (*_sources(), *(ROOT / "tests").rglob("*.py"))
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = {}
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                lines = (node.end_lineno or first) - first + 1
                if lines > MAX_FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in _sources()
        if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


# -- in a clean process: what is loaded, and that loading does nothing -------------------------------------------------

LIGHT = [
    "celeryconfig",
    "pipeline.server.app",
    "pipeline.server.embedded",
    "producer.source",
    "producer.submit",
    "viewer.painted_reader",
    "viewer.sink",
    "workers.tasks",
    "workers.launch",
    "cli",
]
PROBE = """
import sys, threading
import {module}
heavy = sorted({{"torch", "openvino"}} & sys.modules.keys())
assert not heavy, f"loads {{heavy}}"
assert threading.active_count() == 1, threading.enumerate()
"""


@pytest.mark.parametrize("module", LIGHT)
def test_import_loads_no_engine_and_starts_nothing(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE.format(module=module)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
