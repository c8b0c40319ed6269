"""Baselines as files to share: a zip without pickle, every byte under a checksum, read as if an enemy had written it."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from benchmark.arrays import write_bytes
from benchmark.errors import LedgerError, UserError
from benchmark.gate.baseline import Baseline, BaselineCell, Baselines, array_path, parse, text_of
from benchmark.gate.names import checked_name

KIND = "skewbench baseline"
MAX_TEXT = 256 * 2**20
MAX_ARRAYS = 4 * 2**30
"""Bytes of one file of predictions: ten thousand images of a thousand classes take 40 MB."""
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)


def export(baseline: Baseline, name: str, target: Path) -> None:
    """Write a baseline to one file, whole or not at all. DamagedFile if it is not what was accepted."""
    text = text_of(baseline)
    manifest = {"kind": KIND, "name": name, "sha256": hashlib.sha256(text).hexdigest()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("baseline.json", text)
        for cell in {cell.sha256: cell for cell in baseline.cells}.values():
            baseline.arrays(cell)  # verifies
            archive.writestr(array_path(cell.sha256), (baseline.folder / cell.file.path).read_bytes())
    write_bytes(target, buffer.getvalue())


def import_(file: Path, store: Path, name: str | None = None) -> tuple[str, Baseline]:
    """Take a file of `export` into a store; the name it got, and the baseline. UserError, and nothing kept, where anything is wrong."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _take(archive, store, name)
    except (zipfile.BadZipFile, zlib.error, LedgerError, UnicodeDecodeError, NotImplementedError, RuntimeError, EOFError) as error:
        raise UserError(f"{file} cannot be imported: {error}") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error}") from error


def _take(archive: zipfile.ZipFile, store: Path, name: str | None) -> tuple[str, Baseline]:
    entries = _entries(archive)
    manifest, text = _manifest(archive, entries), _content(archive, entries, "baseline.json", MAX_TEXT)
    if manifest.get("sha256") != hashlib.sha256(text).hexdigest():
        raise UserError("baseline.json does not have the checksum of the manifest: the file is damaged or was altered.")
    found = parse(text)
    _check(found)
    sizes = {cell.sha256: cell.size for cell in found.cells}
    expected = {"manifest.json", "baseline.json", *map(array_path, sizes)}
    if set(entries) != expected:
        stray = sorted(set(entries) ^ expected)[0]
        raise UserError(f"the archive does not hold exactly what its baseline names: {stray!r}. Nothing was kept.")
    for cell in found.cells:
        _check_arrays(_content(archive, entries, array_path(cell.sha256), cell.size), cell)
    chosen = checked_name(name or manifest.get("name"))
    return chosen, Baselines(store, found.suite).keep(
        chosen, found, lambda sha256: _content(archive, entries, array_path(sha256), sizes[sha256])
    )


def _entries(archive: zipfile.ZipFile) -> Mapping[str, zipfile.ZipInfo]:
    """By name: each once. Nothing is ever extracted to a path that the archive names."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in entries:
            raise UserError(f"the archive holds {info.filename!r} twice.")
        entries[info.filename] = info
    return entries


def _content(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], name: str, limit: int) -> bytes:
    """A member, of which no more than `limit` bytes are ever unpacked."""
    if name not in entries:
        raise UserError(f"the archive has no {name}: it is no exported baseline.")
    with archive.open(entries[name]) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise UserError(f"{name} is larger than the {limit} bytes it may have.")
    return data


def _manifest(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> Mapping[str, object]:
    try:
        found = json.loads(_content(archive, entries, "manifest.json", 10_000))
    except ValueError as error:
        raise UserError(f"manifest.json is no JSON: {error}") from error
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise UserError("the archive is no exported baseline.")
    return found


def _check(baseline: Baseline) -> None:
    """What `parse` takes on trust from our own store."""
    for cell in baseline.cells:
        result = cell.result
        good = (
            isinstance(cell.sha256, str) and _SHA256.fullmatch(cell.sha256)
            and type(cell.size) is int and 0 < cell.size <= MAX_ARRAYS
            and isinstance(result.key, str) and _KEY.fullmatch(result.key)
            and isinstance(result.config_key, str) and _KEY.fullmatch(result.config_key)
            and result.suite == baseline.suite and result.status == "ok" and type(result.seed) is int
        )  # fmt: skip
        if not good or not _plain_numbers(result.metrics) or not _plain_texts(result.code) or not all(
            isinstance(part, dict) for part in (result.attributes, result.resolved, result.context)
        ):  # fmt: skip
            raise UserError("a cell of the baseline is not what skewbench writes: the file was altered.")
    if not isinstance(baseline.accepted, int | float) or not _plain_texts(baseline.libraries) or not isinstance(baseline.scoring, str):
        raise UserError("the baseline is not what skewbench writes: the file was altered.")
    if not isinstance(baseline.timings, dict) or not all(map(_is_window, baseline.timings.values())):
        raise UserError("a timing of the baseline is not what skewbench writes: the file was altered.")


def _is_window(found: object) -> bool:
    """Whether this is a list of samples, each with its figures and its context."""
    return isinstance(found, list) and all(
        isinstance(sample, dict) and _plain_numbers(sample.get("figures")) and isinstance(sample.get("context"), dict) for sample in found
    )


def _plain_numbers(found: object) -> bool:
    return isinstance(found, dict) and all(type(value) in (int, float) for value in found.values())


def _plain_texts(found: object) -> bool:
    return isinstance(found, dict) and all(isinstance(value, str) for value in found.values())


def _check_arrays(data: bytes, cell: BaselineCell) -> None:
    """Scores [N, K] and labels [N] in [0, K), as metrics want them."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if hashlib.sha256(data).hexdigest() != cell.sha256:
        raise UserError(f"the predictions {cell.sha256[:12]}… do not have their checksum: the file is damaged or was altered.")
    try:
        arrays = load(data)
        scores, labels = arrays["test.scores"], arrays["test.labels"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"the predictions {cell.sha256[:12]}… are no arrays of skewbench: {error}") from error
    classes = len(cell.result.class_names)
    if scores.shape != (len(labels), classes) or scores.dtype.kind != "f" or labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise UserError(f"the predictions {cell.sha256[:12]}… have shapes that do not fit {classes} classes.")
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes and math.isfinite(float(abs(scores).max()))):
        raise UserError(f"the predictions {cell.sha256[:12]}… hold labels or scores out of range.")
