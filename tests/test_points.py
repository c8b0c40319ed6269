"""The history: what is kept of a cell, what makes one round over the seeds, what may be compared; in old stores and merged ones, too."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
import results_factory as factory
import small

from benchmark.execute import context
from benchmark.ledger import Ledger
from benchmark.merge import merge
from benchmark.moments import MEMORY, TIME
from benchmark.points import point_from, point_of, series_of

ROS = factory.METHODS["ros"]


def cell(seed=0, *, at=0.0, commit="aaa", auc=0.9, seconds=2.0, flags=(), method=ROS, key=None, **context):
    """A finished cell of a day, as a run at a commit leaves it."""
    made = factory.cell(method, seed, metrics={"auc": auc, "recall/cat": 0.5}, ended=1e9 + 86400 * at + seed)
    profile = {
        "seconds.train": seconds,
        "seconds.predict": 0.5,
        "seconds.monitor": 0.25,
        "peak_host_mib": 500.0,
        **dict.fromkeys(flags, 1.0),
    }
    context = {"host": "h", "device": "cpu", "threads": 1, "torch": "2.9", "code_version": commit, "skewbench": "1", **context}
    return replace(made, profile=profile, context=context, key=key or f"{made.key[:20]}{commit}")


def point(*arguments, **named):
    found = point_of(cell(*arguments, **named))
    assert found is not None
    return found


def values(points, metric="auc"):
    (series,) = series_of(points, {metric: True})
    return [(moment.commit, round(moment.value, 6), moment.num) for moment in series.moments]


def test_a_point_keeps_headline_scores_seconds_and_memory_and_survives_json():
    kept = point(seconds=2.0)
    assert kept.metrics == {"auc": 0.9}
    assert (kept.profile[TIME], kept.profile[MEMORY]) == (2.5, 500.0)  # watching is a part of training
    assert point_from(kept.document) == kept
    assert point_of(factory.unfinished(cell(), status="failed")) is None


def test_a_round_ends_where_a_seed_comes_again_or_the_commit_changes():
    first = [point(seed, auc=0.9 + 0.01 * seed) for seed in (0, 1)]
    again = [point(seed, at=1, auc=0.8 + 0.01 * seed) for seed in (0, 1)]
    newer = [point(seed, at=2, commit="bbb", auc=0.7 + 0.01 * seed) for seed in (0, 1)]
    assert values([*newer, *again, *first]) == [("aaa", 0.905, 2), ("aaa", 0.805, 2), ("bbb", 0.705, 2)]


def test_a_run_that_was_killed_and_resumed_is_one_moment():
    assert values([point(0, auc=0.9), point(1, at=3, auc=0.8)]) == [("aaa", 0.85, 2)]


def test_a_missing_seed_does_not_move_the_level():
    whole = [point(seed, at=day, commit=f"c{day}", auc=0.9 + 0.05 * seed) for day in (0, 1) for seed in (0, 1)]
    partial = point(1, at=2, commit="c2", auc=0.95)
    assert values([*whole, partial]) == [("c0", 0.925, 2), ("c1", 0.925, 2), ("c2", 0.925, 1)]


def test_times_are_compared_in_one_context_only_and_scores_in_all():
    points = [
        point(at=0),
        point(at=1, commit="bbb"),
        point(at=2, commit="ccc", torch="2.10"),
        point(at=3, commit="ddd", flags=("contended",)),
    ]
    scores = series_of(points, {"auc": True})
    assert [len(series.moments) for series in scores] == [4]
    times = series_of(points, {TIME: False})
    assert [[moment.commit for moment in series.moments] for series in times] == [["aaa", "bbb"], ["ccc"], ["ddd"]]
    assert len({series.where for series in times}) == 3
    assert "contended" in times[-1].where


def test_a_series_goes_on_when_data_or_code_change_and_configurations_are_named_apart():
    points = [point(method=method, at=day, commit=f"c{day}") for day in (0, 1) for method in (ROS, factory.METHODS["none"])]
    found = series_of(points, {"auc": True, "missing": None})
    assert [len(series.moments) for series in found] == [2, 2]
    assert {series.label.partition(" ")[0] for series in found} == {"none", "ros"}


def test_a_cell_belongs_to_the_commit_that_computed_its_last_stage(tmp_path, monkeypatch):
    for commit, methods in (("aaa", ["none"]), ("bbb", ["none", {"thresholding": {"base": "none"}}])):
        monkeypatch.setattr(context, "_code_version", lambda commit=commit: commit)
        small.run(tmp_path, small.cells(methods, iterations=1))
    with Ledger(tmp_path) as ledger:
        assert {(p.attributes["method"], p.commit) for p in ledger.points("small")} == {("none", "aaa"), ("thresholding", "bbb")}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def record(ledger, *results):
    for result in results:
        ledger.record_cell(result, last="last", scoring="s")


def test_a_cell_that_is_run_again_leaves_its_old_figures_in_the_history(store):
    with Ledger(store) as ledger:
        record(ledger, cell(at=0, seconds=2, key="k"), cell(at=1, seconds=3, key="k"))
        record(ledger, cell(at=1, seconds=3, auc=0.91, key="k"))  # scored anew: the same work
        assert [(p.profile[TIME], p.metrics["auc"]) for p in ledger.points("factory")] == [(2.5, 0.9), (3.5, 0.91)]
        extra = [point(at=2, key="k"), point(at=2, key="k"), point(at=1, seconds=9, key="k")]
        assert ledger.add_points(extra) == 2
        assert ledger.add_points(extra) == 0
        assert len(ledger.points("factory")) == 3
        assert ledger.points("other") == []


def test_cells_that_were_read_before_are_not_read_again(store):
    with Ledger(store) as ledger:
        record(ledger, cell(at=0, key="k"), cell(at=1, auc=0.8, key="of earlier code"))
        known = {"k": cell(at=0, auc=0.5, key="k"), "not run": cell(at=9, key="not run")}
        assert [(p.cell, p.metrics["auc"]) for p in ledger.points("factory", known)] == [("k", 0.5), ("of earlier code", 0.8)]
        assert len(ledger.points("factory", {})) == 2


def test_a_store_of_before_is_read_and_then_written_to(store):
    with Ledger(store) as ledger:
        record(ledger, cell(key="k"))
    with closing(sqlite3.connect(store / "ledger.sqlite")) as database:
        database.execute("DROP TABLE points")
        database.commit()
    with Ledger(store, writable=False) as ledger:
        assert len(ledger.points("factory")) == 1
    with Ledger(store) as ledger:
        record(ledger, cell(at=1, key="k"))
        assert len(ledger.points("factory")) == 2


def test_merging_brings_histories_together_once(tmp_path):
    for night in range(3):
        with Ledger(tmp_path / str(night)) as ledger:
            record(ledger, cell(at=night, seconds=2 + night, key="k"))
    sources = [tmp_path / str(night) for night in (1, 2)]
    merge(tmp_path / "0", sources)
    again = merge(tmp_path / "0", sources)
    assert "points of the history copied" not in again.counts
    with Ledger(tmp_path / "0", writable=False) as ledger:
        assert [p.profile[TIME] for p in ledger.points("factory")] == [2.5, 3.5, 4.5]
