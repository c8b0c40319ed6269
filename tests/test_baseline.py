"""Accepted baselines: immutable copies, named in one step, shared as files that are read as if an enemy had written them."""

from __future__ import annotations

import json
import pickle
import shutil
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gate_factory import METRICS, baseline, grid, kept, packed, predictions, result, sha, skewbench, timing

from benchmark.arrays import DamagedFile
from benchmark.errors import UserError
from benchmark.gate.baseline import Baselines, all_baselines, pair_of, setting_of, text_of
from benchmark.gate.portable import export, import_


def test_what_is_accepted_is_read_back_to_the_bit(tmp_path):
    cells = grid()
    found = kept(tmp_path, cells, commit="abc", libraries={"torch": "2.0"}, timings={"s": [timing(1.0)]})
    assert [cell.result for cell in found.cells] == [made for made, _ in cells]
    assert (found.commit, found.libraries, found.timings["s"][0]["figures"]["seconds"]) == ("abc", {"torch": "2.0"}, 1.0)
    for cell, (_, arrays) in zip(found.cells, cells, strict=True):
        for name, array in found.arrays(cell).items():
            np.testing.assert_array_equal(array, arrays[name])
    assert Baselines(tmp_path, "factory").read("main") == found


def test_pairs_leave_code_and_data_out():
    one, other = {"a": 1, "seed": 0, "fingerprint": "x"}, {"a": 1, "seed": 0, "fingerprint": "y"}
    assert pair_of(one) == pair_of(other)
    assert pair_of(one) != pair_of({**one, "seed": 1})
    assert setting_of(one) == setting_of({**one, "seed": 1})
    assert setting_of(one) != setting_of({**one, "a": 2})


def test_names_are_replaced_in_one_step_and_versions_go_with_their_last_name(tmp_path):
    first = kept(tmp_path, grid())
    made, content = baseline(grid(start=1))
    baselines = Baselines(tmp_path, "factory")
    baselines.keep("release", first, lambda sha256: (first.folder / f"arrays/{sha256}.safetensors").read_bytes())
    second = baselines.keep("main", made, content)
    assert second.id != first.id
    assert all_baselines(tmp_path) == [("factory", "main"), ("factory", "release")]
    assert baselines.read("release").id == first.id
    baselines.drop("release")
    assert [folder.name for folder in (baselines.folder / "versions").iterdir()] == [second.id]
    with pytest.raises(UserError, match="no baseline 'release'. Known: main"):
        baselines.read("release")


def test_a_version_is_read_only_and_damage_is_told(tmp_path):
    found = kept(tmp_path, grid())
    file = found.folder / found.cells[0].file.path
    assert not file.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedFile):
        found.arrays(found.cells[0])
    text = found.folder / "baseline.json"
    text.chmod(0o644)
    text.write_bytes(text.read_bytes().replace(b'"seed": 0', b'"seed": 7', 1))
    with pytest.raises(DamagedFile, match="not what was accepted"):
        Baselines(tmp_path, "factory").read("main")


def test_predictions_that_changed_meanwhile_are_not_accepted(tmp_path):
    made, _ = baseline(grid())
    with pytest.raises(DamagedFile, match="nothing was kept"):
        Baselines(tmp_path, "factory").keep("main", made, lambda _: b"other")
    assert all_baselines(tmp_path) == []
    assert list((tmp_path / "baselines/factory/versions").iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "x" * 101, "a\n", "ä"])
def test_names_cannot_leave_the_folder(tmp_path, name):
    made, content = baseline(grid())
    with pytest.raises(UserError, match="cannot be a name"):
        Baselines(tmp_path, "factory").keep(name, made, content)


# -- files


@pytest.fixture
def archive(tmp_path) -> Path:
    export(kept(tmp_path / "from", grid(), timings={"s": [timing(1.0)]}), "main", tmp_path / "shared.zip")
    return tmp_path / "shared.zip"


def test_export_and_import_are_inverse(tmp_path, archive):
    name, found = import_(archive, tmp_path / "to")
    original = Baselines(tmp_path / "from", "factory").read("main")
    assert (name, found.id, found.cells) == ("main", original.id, original.cells)
    assert import_(archive, tmp_path / "to", "other")[0] == "other"
    assert {file.name: file.read_bytes() for file in found.folder.rglob("*.*") if file.is_file()} == {
        file.name: file.read_bytes() for file in original.folder.rglob("*.*") if file.is_file()
    }


def rewritten(archive: Path, change) -> Path:
    """The archive with its members passed through `change`, a function on {name: bytes} that may return pairs."""
    with zipfile.ZipFile(archive) as old:
        members = {info.filename: old.read(info) for info in old.infolist()}
    target = archive.with_name("hostile.zip")
    changed = change(members)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in changed.items() if isinstance(changed, dict) else changed:
            new.writestr(name, data)
    return target


def with_document(members, edit) -> dict[str, bytes]:
    """Edit baseline.json and make the manifest agree, as someone who knows the format would."""
    document = json.loads(members["baseline.json"])
    edit(document)
    text = json.dumps(document).encode()
    manifest = {**json.loads(members["manifest.json"]), "sha256": sha(text)}
    return {**members, "baseline.json": text, "manifest.json": json.dumps(manifest).encode()}


def arrays_replaced(members, data: bytes) -> dict[str, bytes]:
    """Other predictions under a right checksum in the first cell."""
    name = next(name for name in members if name.startswith("arrays/"))
    old = Path(name).stem

    def edit(document):
        for cell in document["cells"]:
            if cell["sha256"] == old:
                cell |= {"sha256": sha(data), "size": len(data)}

    found = with_document(members, edit)
    del found[name]
    return {**found, f"arrays/{sha(data)}.safetensors": data}


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


HOSTILE = {
    "path out of the folder": lambda m: {**m, "../../escaped.txt": b"x"},
    "absolute path": lambda m: {**m, "/tmp/escaped.txt": b"x"},
    "stray member": lambda m: {**m, "run.py": b"import os"},
    "missing member": lambda m: {k: v for k, v in m.items() if not k.startswith("arrays/")},
    "altered text": lambda m: {**m, "baseline.json": m["baseline.json"].replace(b'"seed": 0', b'"seed": 9', 1)},
    "altered arrays": lambda m: {k: (v[:-1] + b"x" if k.startswith("arrays/") else v) for k, v in m.items()},
    "larger than it says": lambda m: {k: (v + b"0" * 10_000_000 if k.startswith("arrays/") else v) for k, v in m.items()},
    "a member twice": lambda m: [*m.items(), ("baseline.json", b"{}")],
    "suite as a path": lambda m: with_document(m, lambda d: d.update(suite="../../x")),
    "checksum as a path": lambda m: with_document(m, lambda d: d["cells"][0].update(sha256="../../../etc/passwd")),
    "cell of another suite": lambda m: with_document(m, lambda d: d["cells"][0]["result"].update(suite="other")),
    "failed cell": lambda m: with_document(m, lambda d: d["cells"][0]["result"].update(status="failed")),
    "text for a number": lambda m: with_document(m, lambda d: d["cells"][0]["result"].update(metrics={"auc": "high"})),
    "unknown field": lambda m: with_document(m, lambda d: d["cells"][0]["result"].update(evil=1)),
    "another format": lambda m: with_document(m, lambda d: d.update(format=99)),
    "timings of text": lambda m: with_document(m, lambda d: d.update(timings={"s": [{"figures": {"seconds": "1"}, "context": {}}]})),
    "a list of timings": lambda m: with_document(m, lambda d: d.update(timings=[[timing(1.0)]])),
    "a number for a window": lambda m: with_document(m, lambda d: d.update(timings={"s": 5})),
    "a timing without figures": lambda m: with_document(m, lambda d: d.update(timings={"s": [{"context": {}}]})),
    "not a baseline": lambda m: {**m, "manifest.json": b"[]"},
    "name as a path": lambda m: {**m, "manifest.json": m["manifest.json"].replace(b'"main"', b'"../main"')},
    "pickle for arrays": lambda m: arrays_replaced(m, pickle.dumps(Bomb())),
    "arrays of another shape": lambda m: arrays_replaced(m, packed(predictions(0, classes=4))),
    "labels out of range": lambda m: arrays_replaced(m, packed({**predictions(0), "test.labels": np.full(300, 9)})),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile's own, while the test writes such an archive
def test_hostile_archives_are_refused_whole(tmp_path, archive, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError):
        import_(rewritten(archive, HOSTILE[kind]), tmp_path / "to")
    assert all_baselines(tmp_path / "to") == []
    assert sorted(each for each in tmp_path.rglob("*") if "versions" not in each.parts and each.is_file()) == sorted(
        [each for each in before if each.is_file() and "versions" not in each.parts] + [tmp_path / "hostile.zip"]
    )


def test_a_damaged_stream_is_refused(tmp_path, archive):
    with zipfile.ZipFile(archive) as whole:
        begin = whole.getinfo("baseline.json").header_offset + 30 + len("baseline.json")
    data = bytearray(archive.read_bytes())
    data[begin : begin + 200] = b"\xff" * 200
    archive.write_bytes(data)
    with pytest.raises(UserError, match="cannot be imported"):
        import_(archive, tmp_path / "to")


def spoil(found, kind: str) -> None:
    """Damage a version as disks and people do."""
    if kind == "gone":
        shutil.rmtree(found.folder.parent)
        return
    file = found.folder / ("baseline.json" if kind == "text" else found.cells[0].file.path)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize("kind", ["text", "arrays", "gone"])
def test_a_damaged_baseline_is_mended_by_importing_it_again(tmp_path, archive, kind):
    _, found = import_(archive, tmp_path / "to")
    spoil(found, kind)
    _, again = import_(archive, tmp_path / "to")
    assert again == found
    assert [again.arrays(cell).keys() for cell in again.cells]
    assert [folder.name for folder in found.folder.parent.iterdir()] == [found.id]


@pytest.mark.parametrize("kind", ["text", "gone", "pointer"])
def test_a_damaged_baseline_is_listed_beside_the_others_and_dropped(tmp_path, archive, kind):
    store = ("--store", tmp_path / "to")
    _, found = import_(archive, tmp_path / "to")
    other = Baselines(tmp_path / "to", "other")
    other.keep("main", replace(found, suite="other"), lambda sha256: (found.folder / f"arrays/{sha256}.safetensors").read_bytes())
    pointer = found.folder.parent.parent / "main.json"
    if kind == "pointer":
        pointer.write_text("{")
    else:
        spoil(found, kind)
    code, out, err = skewbench("baseline", "list", *store, "--json")
    listed = [(each["suite"], each["version"]) for each in json.loads(out)]
    assert (code, listed) == (0, [("factory", "damaged"), ("other", other.read("main").id)])
    assert "the baseline 'main' again" in err
    assert "damaged" in skewbench("baseline", "list", *store)[1]
    assert skewbench("baseline", "drop", "factory", *store)[0] == 0
    assert all_baselines(tmp_path / "to") == [("other", "main")]
    assert not found.folder.exists()


def test_a_shipped_suite_is_named_as_everywhere(tmp_path):
    made, content = baseline(grid())
    cells = tuple(replace(cell, result=replace(cell.result, suite="regression-smoke")) for cell in made.cells)
    Baselines(tmp_path, "regression-smoke").keep("main", replace(made, suite="regression-smoke", cells=cells), content)
    store = ("--store", tmp_path)
    for verb, *more in (["show"], ["export", "regression/smoke", tmp_path / "x.zip"], ["drop"]):
        code, _, err = skewbench("baseline", verb, *(more or ["regression/smoke"]), *store)
        assert (code, err) == (0, "")
    assert all_baselines(tmp_path) == []


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04rubbish", b"no zip at all"])
def test_what_is_no_zip_is_refused(tmp_path, data):
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(UserError, match="cannot be imported"):
        import_(tmp_path / "x.zip", tmp_path / "to")


def test_a_truncated_archive_is_refused(tmp_path, archive):
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(UserError):
        import_(archive, tmp_path / "to")


def test_the_command_line_lists_shows_shares_and_drops(tmp_path, archive):
    store = ("--store", tmp_path / "to")
    assert skewbench("baseline", "list", *store)[1].endswith("`skewbench baseline accept SUITE` makes one.\n")
    assert skewbench("baseline", "import", archive, *store)[0] == 0
    code, out, _ = skewbench("baseline", "list", *store, "--json")
    assert (code, json.loads(out)[0]["cells"]) == (0, 6)
    code, out, _ = skewbench("baseline", "show", "factory", *store)
    assert code == 0
    assert f"{result('none', 0, grid()[0][1]).metrics[METRICS[0].name]:.4f}" in out
    again = tmp_path / "again.zip"
    assert skewbench("baseline", "export", "factory", again, *store)[0] == 0
    assert import_(again, tmp_path / "third")[1].id == json.loads(skewbench("baseline", "list", *store, "--json")[1])[0]["version"]
    assert skewbench("baseline", "drop", "factory", *store)[0] == 0
    code, _, err = skewbench("baseline", "show", "factory", *store)
    assert code == 2
    assert "no baseline 'main'" in err


def test_text_is_the_same_for_the_same_baseline():
    assert text_of(baseline(grid())[0]) == text_of(baseline(grid())[0])
