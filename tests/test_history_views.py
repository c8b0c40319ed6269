"""The history where people look at it: read back from MLflow, on the command line, and as a part of the report; verdicts in MLflow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import results_factory as factory
from test_cli import skewbench
from test_outputs import document
from test_points import point

from benchmark.changes import changes_of
from benchmark.cli.history import sparkline
from benchmark.ledger import Ledger
from benchmark.moments import TIME
from benchmark.points import point_of, series_of
from benchmark.summary import summarize
from reports.section import Report
from reports.timeline import part
from reports.write import build_files
from trackers.location import TrackerError
from trackers.mlflow_store import MlflowStore
from trackers.points import read_points
from trackers.reading import artifact
from trackers.verdicts import record_verdict, verdict_tags

SUITE = """
suite: factory
grid: {dataset: digits, method: [none, ros], model: lenet5}
metrics: [auc, accuracy]
"""


@pytest.fixture(scope="module")
def tracker(tmp_path_factory) -> MlflowStore:
    """MLflow with the suite as it was before and after its code changed: the runs of before are kept."""
    folder = tmp_path_factory.mktemp("tracker")
    made = MlflowStore(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")
    results = factory.results(ratios=(10.0,), methods=("none", "ros"), seeds=2)
    made.write(results)
    made.write(replace(results, cells=tuple(again(cell) for cell in results.cells)))
    return made


def again(cell):
    return replace(cell, key=cell.key[::-1], ended=cell.ended + 1e5, context={**cell.context, "code_version": "new"})


@pytest.mark.slow
def test_mlflow_gives_the_points_that_the_ledger_has(tracker):
    read = read_points(tracker.uri, "factory")
    cells = factory.results(ratios=(10.0,), methods=("none", "ros"), seeds=2).cells
    expected = {(p.cell, p.ended): p for cell in (*cells, *map(again, cells)) if (p := point_of(cell))}
    assert read.unreadable == 0
    assert {(p.cell, p.ended): p for p in read.points} == expected
    series = series_of(read.points, {"auc": True, TIME: False})
    assert {len(found.moments) for found in series} == {2}


@pytest.mark.slow
def test_a_run_without_its_record_is_counted_and_no_reason_to_stop(tracker, tmp_path):
    (record, *_) = sorted((Path(tracker.uri.removeprefix("sqlite:///")).parent / "artifacts").rglob("cell.json"))
    text = record.read_text()
    record.write_text("{")
    read = read_points(tracker.uri, "factory")
    record.write_text(text)
    assert (len(read.points), read.unreadable) == (7, 1)
    with pytest.raises(TrackerError, match="has no experiment 'skewbench/other'"):
        read_points(tracker.uri, "other")
    with pytest.raises(TrackerError, match="no MLflow database"):
        read_points(f"sqlite:///{tmp_path}/none.db", "factory")


@pytest.mark.slow
def test_the_files_of_cells_that_were_read_before_are_not_read_again(tracker, monkeypatch):
    known = {cell.key: cell for cell in factory.results(ratios=(10.0,), methods=("none", "ros"), seeds=2).cells}
    whole, asked = read_points(tracker.uri, "factory"), []
    monkeypatch.setattr("trackers.points.artifact", lambda client, run, name: asked.append(run) or artifact(client, run, name))
    assert read_points(tracker.uri, "factory", known) == whole
    assert len(asked) == len(whole.points) - len(known)


@pytest.mark.slow
def test_a_verdict_stands_on_the_experiment(tracker, tmp_path):
    told = document(suite="factory", problems=["https://user:pw@host/x"])
    assert record_verdict(told, store=tmp_path, uri=tracker.uri)
    tags = tracker.client.get_experiment_by_name("skewbench/factory").tags
    assert {key: tags[key] for key in verdict_tags(told)} == verdict_tags(told)
    assert (tags["bench.gate.outcome"], tags["bench.gate.at"]) == ("regressed", "2026-11-24 23:40:00 UTC")
    assert not record_verdict(document(suite="other"), store=tmp_path, uri=tracker.uri)
    assert not record_verdict(told, store=tmp_path, uri=f"sqlite:///{tmp_path}/none.db")


@pytest.mark.slow
def test_the_history_of_mlflow_is_shown(tracker, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("factory.yaml").write_text(SUITE)
    code, out, _ = skewbench("history", "factory.yaml", "--from-mlflow", tracker.uri, "--metric", "auc", "--json", capsys=capsys)
    assert code == 0
    assert [entry["metric"] for entry in json.loads(out)] == ["auc", "auc"]


def nights(num: int = 12):
    """Scores that fall and times that get better after night 6."""
    return [
        point(
            seed,
            at=night,
            commit=f"{night:07x}",
            auc=0.9 - 0.03 * (night >= 6) + 0.01 * seed,
            seconds=(2 if night < 6 else 1) + 0.01 * night,
        )
        for night in range(num)
        for seed in (0, 1)
    ]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("factory.yaml").write_text(SUITE)
    with Ledger(tmp_path / "skewbench-results") as ledger:
        ledger.add_points(nights())
    return tmp_path


def test_changes_are_told_with_commits_and_direction(place, capsys):
    _, out, _ = skewbench("history", "factory.yaml", "--json", capsys=capsys)
    found = {entry["metric"]: entry["changes"] for entry in json.loads(out)}
    assert [(c["commit_before"], c["commit_after"], c["is_better"]) for c in found["auc"]] == [("0000005", "0000006", False)]
    assert [(c["commit_after"], c["is_better"]) for c in found["time"]] == [("0000006", True)]
    assert found["memory"] == []
    _, out, _ = skewbench("history", "factory.yaml", "--cell", "ros", "--metric", "auc", capsys=capsys)
    assert "0000005 → 0000006: 0.905 → 0.875 (-3.3 %), worse" in " ".join(out.split())
    assert out.count("worse") == 2  # in the row, and beside the measurement


def test_what_is_asked_for_and_not_there_is_said(place, capsys):
    code, _, err = skewbench("history", "factory.yaml", "--cell", "smote", capsys=capsys)
    assert code == 2
    assert "no configuration of this name" in err
    code, _, err = skewbench("history", "factory.yaml", "--metric", "acu", capsys=capsys)
    assert code == 2
    assert "Did you mean 'auc'?" in err


def test_the_report_has_a_timeline():
    series = tuple(replace(found, changes=changes_of(found)) for found in series_of(nights(), {"auc": True, TIME: False}))
    results = replace(factory.results(), timeline=series)
    section = part(Report(results, summarize(results)))
    (drawing,) = section.drawings
    assert "worse at 0000006 on 2001-09-15, 0.905 to 0.875" in drawing.alt
    assert len(drawing.picture.panels) == 2
    labels = [line.label for line in drawing.picture.panels[0].series]
    assert labels == ["", "level", "worse"]
    files = build_files(results)
    assert b'id="timeline"' in files["index.html"]
    assert files["tables/timeline.csv"].count(b"\n") == 1 + 24


def test_a_report_without_a_history_has_no_timeline():
    results = replace(factory.results(), timeline=tuple(series_of(nights(2), {"auc": True})))
    assert part(Report(results, summarize(results))) is None


def test_a_sparkline_spans_the_values():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([2, 2, 2]) == "▄▄▄"
    assert len(sparkline(list(range(100)))) == 24
