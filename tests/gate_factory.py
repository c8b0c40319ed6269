"""Baselines and cells with a known truth, made without training; the command line called in this process."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import results_factory as factory
from numpy.typing import NDArray

from benchmark import registry
from benchmark.cli import main
from benchmark.evaluate import scoring_key
from benchmark.gate.baseline import Baseline, BaselineCell, Baselines, pair_of, setting_of
from benchmark.gate.sides import Now
from benchmark.records import CellResult, Predictions

METRICS = [registry.build("metrics", name) for name in ("auc", "accuracy")]
LABELS = np.repeat(np.arange(3), 100)
CONTEXT = {"host": "here", "processor": "one", "torch": "2.0", "python": "3.11", "code_version": "aaa"}


def predictions(seed: int, *, strength: float = 1.0, labels: NDArray[np.int64] = LABELS, classes: int = 3) -> dict[str, NDArray[Any]]:
    """Scores that lean towards the right class by `strength`, with noise of their own."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(len(labels), classes)) + strength * np.eye(classes)[labels]
    scores = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    return {"test.scores": scores, "test.labels": labels.astype(np.int64)}


def result(method: str, seed: int, arrays: Mapping[str, NDArray[Any]], **changes: Any) -> CellResult:
    """A finished cell scored from its predictions."""
    made = Predictions(arrays["test.scores"], arrays["test.labels"], (10, 10, 10))
    scores = {metric.name: metric.score(made).value for metric in METRICS}
    resolved = {"method": {method: {}}, "seed": seed, "fingerprint": "f" * 32}
    names = ("cat", "dog", "owl")
    fields = {"metrics": scores, "resolved": resolved, "context": CONTEXT, "class_names": names, "class_counts": (10, 10, 10)}
    return factory.cell({"method": method}, seed, **{**fields, **changes})


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    from safetensors.numpy import save

    return save(dict(arrays))


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def now(made: CellResult, arrays: Mapping[str, NDArray[Any]]) -> Now:
    return Now(made, sha(packed(arrays)), functools.partial(lambda found: found, arrays))


def baseline(cells: Sequence[tuple[CellResult, Mapping[str, NDArray[Any]]]], **fields: Any) -> tuple[Baseline, Callable[[str], bytes]]:
    """A baseline and the content of its files."""
    files = {sha(packed(arrays)): packed(arrays) for _, arrays in cells}
    made = tuple(BaselineCell(each, sha(packed(arrays)), len(packed(arrays))) for each, arrays in cells)
    return Baseline("factory", made, scoring_key(METRICS), 1_700_000_000.0, **fields), files.__getitem__


def kept(store: Path, cells: Sequence[tuple[CellResult, Mapping[str, NDArray[Any]]]], **fields: Any) -> Baseline:
    made, content = baseline(cells, **fields)
    return Baselines(store, "factory").keep("main", made, content)


def grid(
    *,
    methods: Sequence[str] = ("none", "ros"),
    seeds: int = 3,
    start: int = 0,
    strength: float = 1.0,
    loss: Mapping[str, float] | None = None,
) -> list[tuple[CellResult, dict[str, NDArray[Any]]]]:
    """Methods x seeds. `start` moves the noise: another one is a re-run with other luck; `loss` weakens a method's predictions."""
    found = []
    for number, method in enumerate(methods):
        for seed in range(seeds):
            arrays = predictions(1000 * start + 100 * number + seed, strength=strength - (loss or {}).get(method, 0.0))
            found.append((result(method, seed, arrays), arrays))
    return found


def timing(seconds: float, *, memory: float = 100.0, **context: Any) -> dict[str, Any]:
    return {"figures": {"seconds": seconds, "peak_host_mib": memory}, "context": {**CONTEXT, **context}}


def pair_and_setting(made: CellResult) -> tuple[str, str]:
    return pair_of(made.resolved), setting_of(made.resolved)


def rekeyed(cells: Sequence[tuple[CellResult, Any]], code: str = "e") -> list[tuple[CellResult, Any]]:
    """The same cells as other code would have computed them."""
    return [(replace(made, key=sha(made.key.encode())[:32], code={"methods:ros": code * 32}), arrays) for made, arrays in cells]


def skewbench(*arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error of a command run in this process."""
    out, err, before = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
    code: object = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(each) for each in arguments])
        except SystemExit as ended:
            code = ended.code
    signal.signal(signal.SIGTERM, before)
    return int(code or 0), out.getvalue(), err.getvalue()  # type: ignore[call-overload]  # an exit code
