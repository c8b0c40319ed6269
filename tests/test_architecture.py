"""The shape of the code, held by tests: imports point one way, each outside library has one door, planning stays light."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.evaluate import SCORING
from benchmark.identity import source_key
from benchmark.stages import OPERATIONS

ROOT = Path(__file__).parent.parent
FILES = [file for folder in ("benchmark", "trackers", "reports", "suites") for file in sorted((ROOT / folder).rglob("*.py"))]

LAYERS: list[list[str]] = [
    ["benchmark.errors", "benchmark.identity", "benchmark.evidence", "benchmark.records", "benchmark.studies", "benchmark.seeds",
     "benchmark.imports", "benchmark.registry", "benchmark.typed", "benchmark.code_keys", "benchmark.places", "benchmark.durations",
     "benchmark.selectors", "benchmark.redaction", "benchmark.moments", "benchmark.beside", "suites"],
    ["benchmark.datasets", "benchmark.imbalances", "benchmark.methods", "benchmark.models", "benchmark.metrics", "benchmark.optimizers",
     "benchmark.schedules", "benchmark.preprocessings", "benchmark.augmentations"],
    ["benchmark.recipe", "benchmark.student", "benchmark.fetch", "benchmark.scaffold", "benchmark.labels", "benchmark.means",
     "benchmark.exact", "benchmark.summary", "benchmark.ranks", "benchmark.power", "benchmark.combine", "benchmark.answer",
     "benchmark.selection", "benchmark.inference", "benchmark.operands", "benchmark.claims", "benchmark.references",
     "benchmark.points", "benchmark.changes"],
    ["benchmark.cells", "benchmark.search", "benchmark.draw", "benchmark.contracts"],
    ["benchmark.language", "benchmark.spec", "benchmark.grid", "benchmark.schema"],
    ["benchmark.stages", "benchmark.arrays", "benchmark.owners", "benchmark.tables", "benchmark.rows", "benchmark.ledger", "benchmark.plan",
     "benchmark.tasks", "benchmark.agenda", "benchmark.failures"],
    ["benchmark.execute", "benchmark.evaluate", "benchmark.machine", "benchmark.execution", "benchmark.gpus"],
    ["benchmark.history", "benchmark.results", "benchmark.scoring", "benchmark.run", "benchmark.explain", "benchmark.price",
     "benchmark.budget", "benchmark.shards", "benchmark.merge", "benchmark.profile_lane", "benchmark.logged", "benchmark.status",
     "benchmark.jobs", "benchmark.outputs", "benchmark.tune"],
    ["benchmark.gate"],
    ["trackers", "reports"],
    ["benchmark.cli", "benchmark.__main__"],
]  # fmt: skip
"""From the bottom up: a module may import from its own layer and from those before it."""

SIDES = {"trackers", "reports"}
SIDES_MAY_SEE = {
    "records", "evidence", "studies", "errors", "identity", "labels", "redaction", "means", "exact", "inference", "ranks", "summary",
    "answer", "selection", "moments", "points", "beside", "places",
}  # fmt: skip
"""Trackers and reports see results and where caches lie, never how results were made."""

DOORS = {
    "mlflow": ["trackers"],
    "matplotlib": ["reports", "trackers"],
    "jinja2": ["reports"],
    "pandas": ["reports"],
    "scikit_posthocs": ["reports"],
    "plotly": ["reports"],
    "yaml": ["benchmark.language"],
    "sqlite3": ["benchmark.ledger", "trackers"],
    "click": ["benchmark.cli"],
    "rich": ["benchmark.cli"],
    "ray": ["benchmark.execute.cluster"],
    "ruptures": ["benchmark.changes"],
    "apscheduler": ["benchmark.jobs.times"],
    "optuna": ["benchmark.tune"],
    "sqlalchemy": ["benchmark.tune", "trackers"],
}


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "benchmark")


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".") or (package + "_") in name and name.startswith(package + "_")


def layer(name: str) -> int:
    found = [index for index, packages in enumerate(LAYERS) for package in packages if within(name, package)]
    return max(found, default=-1)


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_imports_point_one_way(file):
    name = module_name(file)
    if name == "benchmark":
        return
    own = layer(name)
    assert own >= 0, f"{name} stands in no layer: add it to LAYERS"
    for other in imports(file):
        assert layer(other) <= own, f"{name} imports {other}, which stands above it"


@pytest.mark.parametrize("file", [f for f in FILES if module_name(f).split(".")[0] in SIDES], ids=module_name)
def test_trackers_and_reports_see_results_only(file):
    side = module_name(file).split(".")[0]
    for other in imports(file):
        top, _, rest = other.partition(".")
        if top == "benchmark" and rest:
            assert rest.split(".")[0] in SIDES_MAY_SEE, f"{module_name(file)} imports {other}"
        assert top not in SIDES - {side}, f"{module_name(file)} imports {other}"


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_each_outside_library_has_one_door(file):
    name = module_name(file)
    for other in imports(file):
        doors = DOORS.get(other.split(".")[0])
        assert doors is None or any(within(name, door) for door in doors), f"{name} imports {other}; its door is {doors}"


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_only_the_command_line_prints(file):
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert not [c for c in calls if c.func.id in ("eval", "exec")]
    assert (
        within(module_name(file), "benchmark.cli")
        or module_name(file) == "benchmark.schema"
        or not [c for c in calls if c.func.id == "print"]
    )


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_files_and_functions_stay_small(file):
    text = file.read_text()
    assert text.count("\n") <= 300, f"{file} has {text.count(chr(10))} lines: split it"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            doc = ast.get_docstring(node) or ""
            length = (node.end_lineno or 0) - node.lineno + 1 - len(doc.splitlines())
            assert length <= 42, f"{file}: {node.name} has {length} lines"


def test_planning_imports_nothing_heavy():
    script = "import benchmark.cli, benchmark.registry as r, sys; [r.names(k) for k in r.KINDS]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {
        "torch",
        "torchvision",
        "mlflow",
        "pandas",
        "matplotlib",
        "sklearn",
        "imblearn",
        "scipy.stats",
        "PIL",
        "optuna",
        "scikit_posthocs",
    }
    assert not heavy & set(done.stdout.split())


def test_an_operation_whose_code_changes_says_so():
    """What trains, predicts and scores is identified by a version, not by its source: the watch over that version.

    If this fails, decide: do the numbers change? Then raise the operation's version in benchmark/stages.py, or SCORING in
    benchmark/evaluate.py. Either way write the new digests: `python tests/test_architecture.py`.
    """
    recorded = json.loads((ROOT / "tests/golden/operations.json").read_text())
    assert recorded == operation_digests()


def operation_digests() -> dict[str, object]:
    watched = [
        "benchmark/execute/batches.py",
        "benchmark/execute/inputs.py",
        "benchmark/execute/loop.py",
        "benchmark/execute/features.py",
        "benchmark/execute/distortion.py",
        "benchmark/execute/monitor.py",
        "benchmark/execute/stages.py",
        "benchmark/execute/frozen.py",
        "benchmark/draw.py",
        "benchmark/seeds.py",
        "benchmark/evaluate.py",
        "benchmark/metrics/_confusion.py",
    ]
    keys = {name: source_key(ROOT / name) for name in watched}
    versions = {**OPERATIONS, "scoring": SCORING}
    return {"versions": versions, "code": keys, "all": hashlib.sha256(str(sorted(keys.items())).encode()).hexdigest()}


if __name__ == "__main__":
    target = ROOT / "tests/golden/operations.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(operation_digests(), indent=2) + "\n")
