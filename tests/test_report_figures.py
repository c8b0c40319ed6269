"""The figures of a study show the means and intervals that its cells have, method by method, and say what they leave out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from benchmark.records import SuiteResults
from benchmark.summary import summarize
from reports import study_figures as figures
from reports.charts import MARKERS, PALETTE, Chart, Drawing, Panel, color, marker
from reports.charts import drawn as evenly
from reports.convergence import convergence, mean_track
from reports.drawing import draw
from reports.study import MINORITY_AXIS, RATIO_AXIS, partial_sampling
from reports.write import PAGE, build_files
from tests.results_factory import FULL, METRICS, Value, empty, results, study, unfinished
from tests.test_reports import Reader, check_legend

SMALL: Mapping[str, tuple[float, ...]] = {"ratios": (10.0, 100.0), "minorities": (0.2, 0.8)}
LADDER = (1.0, 4.0, 25.0)


@pytest.fixture(scope="module")
def small() -> SuiteResults:
    return study(**SMALL, ladder=LADDER)


def drawn(results_: SuiteResults) -> dict[str, Drawing]:
    summary = summarize(results_)
    made = [*figures.study_figures(results_, summary), convergence(summary)]
    return {drawing.name: drawing for drawing in made if drawing is not None}


@pytest.fixture(scope="module")
def made(small: SuiteResults) -> dict[str, Drawing]:
    return drawn(small)


def values(results_: SuiteResults, metric: str, **attributes: Value) -> np.ndarray:
    """The metric of all finished cells with these attributes (dots written as two underscores)."""
    wanted = {key.replace("__", "."): value for key, value in attributes.items()}
    cells = [c for c in results_.cells if c.status == "ok" and all(c.attributes.get(k) == v for k, v in wanted.items())]
    return np.array([cell.metrics[metric] for cell in cells])


def half_width(found: np.ndarray) -> float:
    return float(t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5)


def chart(drawing: Drawing) -> Chart:
    assert isinstance(drawing.picture, Chart)
    return drawing.picture


def panel(drawing: Drawing, title: str) -> Panel:
    (found,) = [each for each in chart(drawing).panels if each.title == title]
    return found


def lines(panel_: Panel) -> dict[str, tuple[list[float], list[float], list[float]]]:
    """By label: places, means, half-widths of the bars."""
    return {s.label: (list(s.x), list(s.y), [width for width in s.y_error if np.isfinite(width)]) for s in panel_.series}


def test_the_metric_against_the_ratio_is_that_of_the_cells(small: SuiteResults, made: dict[str, Drawing]) -> None:
    for metric in ("auc", "accuracy"):
        for minority in (0.2, 0.8):
            shown = lines(panel(made[f"by_ratio_{metric}"], f"step · μ = {minority}"))
            assert set(shown) == {"none", "ros ratio=1", "rus ratio=1", "two-phase(ros)", "thresholding(none)"}
            own = [
                values(small, metric, method="ros", method__ratio=1.0, imbalance__minority=minority, imbalance__ratio=ratio)
                for ratio in (10.0, 100.0)
            ]
            places, means, widths = shown["ros ratio=1"]
            assert places == pytest.approx([10, 100], rel=0.1)
            assert means == pytest.approx([found.mean() for found in own])
            assert widths == pytest.approx([half_width(found) for found in own])
    linear = lines(panel(made["by_ratio_auc"], "linear"))["none"]
    assert linear[1][1] == pytest.approx(values(small, "auc", method="none", imbalance="linear", imbalance__ratio=100.0).mean())


def test_the_metric_against_the_minority_fraction_is_that_of_the_cells(small: SuiteResults, made: dict[str, Drawing]) -> None:
    titles = [each.title for each in chart(made["by_minority_auc"]).panels]
    assert titles == ["ρ = 10", "ρ = 100"]
    places, means, widths = lines(panel(made["by_minority_auc"], "ρ = 100"))["rus ratio=1"]
    own = [
        values(small, "auc", method="rus", method__ratio=1.0, imbalance="step", imbalance__minority=m, imbalance__ratio=100.0)
        for m in (0.2, 0.8)
    ]
    assert places == pytest.approx([0.2, 0.8], abs=0.02)
    assert means == pytest.approx([found.mean() for found in own])
    assert widths == pytest.approx([half_width(found) for found in own])
    assert "All panels: digits · step · lenet5." in made["by_minority_auc"].caption


def test_the_level_of_the_full_set_is_a_dashed_line(small: SuiteResults, made: dict[str, Drawing]) -> None:
    level = values(small, "auc", imbalance="none").mean()
    assert level == pytest.approx(FULL, abs=0.01)
    shown = panel(made["by_ratio_auc"], "linear").level
    assert shown is not None
    assert (shown.label, shown.mean.mean) == ("none, no imbalance", pytest.approx(level))
    assert b"none, no imbalance" in draw(made["by_ratio_auc"]).files["svg"]
    without = replace(small, cells=tuple(cell for cell in small.cells if cell.attributes["imbalance"] != "none"))
    other = drawn(without)["by_ratio_auc"]
    assert not any(each.level for each in chart(other).panels)
    assert "Dashed" not in other.caption


def test_a_full_set_of_other_data_is_no_level(small: SuiteResults) -> None:
    cells = tuple(
        replace(c, attributes={**c.attributes, "dataset.cap": 500}) if c.attributes["imbalance"] == "none" else c for c in small.cells
    )
    assert "Dashed" not in drawn(replace(small, cells=cells))["by_ratio_auc"].caption


def test_partial_sampling_runs_along_the_remaining_ratio(small: SuiteResults, made: dict[str, Drawing]) -> None:
    drawing = made["partial_sampling_auc"]
    assert [each.title for each in chart(drawing).panels] == ["step ratio=100 minority=0.2", "step ratio=100 minority=0.8"]
    shown = lines(chart(drawing).panels[1])
    assert set(shown) == {"ros", "rus"}
    where = {"imbalance": "step", "imbalance__minority": 0.8, "imbalance__ratio": 100.0}
    for name in ("ros", "rus"):
        own = [values(small, "auc", method=name, method__ratio=left, **where) for left in LADDER]
        assert shown[name][0] == pytest.approx(LADDER, rel=0.05)
        assert shown[name][1] == pytest.approx([found.mean() for found in own])
        assert shown[name][2] == pytest.approx([half_width(found) for found in own])
    level = chart(drawing).panels[1].level
    assert level is not None
    assert (level.label, level.mean.mean) == ("none, no sampling", pytest.approx(values(small, "auc", method="none", **where).mean()))
    assert set(partial_sampling(summarize(small)).values()) == {"ros ratio=1", "rus ratio=1"}


def test_accuracy_while_training_is_the_mean_over_seeds(small: SuiteResults, made: dict[str, Drawing]) -> None:
    shown = [s for s in panel(made["convergence"], "step ratio=100 minority=0.8").series if s.x]
    solid, dashed = [s for s in shown if not s.dashed], [s for s in shown if s.dashed]
    assert len(solid) == len(dashed) == 5  # partial sampling is left out
    cells = [c for c in small.cells if c.method == "rus" and c.attributes["method.ratio"] == 1.0]
    cells = [c for c in cells if c.attributes.get("imbalance.minority") == 0.8 and c.attributes["imbalance.ratio"] == 100.0]
    for part, found in (("train.accuracy", dashed), ("test.accuracy", solid)):
        own = np.array([[value for _, value in cell.history[part]] for cell in cells])
        (line,) = [series for series in found if series.look == 2]
        assert line.x == pytest.approx([at for at, _ in cells[0].history[part]])
        assert line.y == pytest.approx(own.mean(axis=0))
        assert line.y_error[-1] == pytest.approx(half_width(own[:, -1]))
        assert mean_track(cells, part)[-1][1].half_width == pytest.approx(half_width(own[:, -1]))


def test_histories_are_compared_where_every_seed_has_them(small: SuiteResults) -> None:
    first, second = small.cells[0], replace(small.cells[1], history={"test.accuracy": ((100, 0.5), (950, 0.7))})
    track = mean_track([first, second, replace(small.cells[2], history={})], "test.accuracy")
    assert [at for at, _ in track] == [100, 950]
    assert track[0][1].mean == pytest.approx((dict(first.history["test.accuracy"])[100] + 0.5) / 2)
    assert mean_track([first], "validation.accuracy") == ()


def test_a_method_has_one_colour_and_marker_in_all_figures(small: SuiteResults, made: dict[str, Drawing]) -> None:
    rows = summarize(small).rows
    for name in ("by_ratio_auc", "by_minority_accuracy", "partial_sampling_auc"):
        for each in chart(made[name]).panels:
            for series in each.series:
                at = next(i for i, known in enumerate(rows) if known == series.label or known == f"{series.label} ratio=1")
                assert series.look == at
    assert len({(color(at), marker(at)) for at in range(len(PALETTE) * len(MARKERS))}) == len(PALETTE) * len(MARKERS)


def test_what_does_not_apply_is_absent() -> None:
    names = set(drawn(results(ratios=(10.0,))))
    assert not [name for name in names if name.startswith(("by_", "partial_", "convergence"))]
    assert {name for name in drawn(study(ratios=(10.0, 50.0), minorities=(0.5,))) if name.startswith(("by_", "partial"))} == {
        "by_ratio_auc",
        "by_ratio_accuracy",
    }
    assert not [name for name in drawn(study(**SMALL, ladder=(1.0, 4.0))) if name.startswith("partial")]  # two remaining ratios only
    assert drawn(empty()) == {}


def test_partial_results_are_drawn_as_far_as_they_go() -> None:
    def lose(cell):
        lost = cell.method == "ros" and cell.attributes.get("imbalance.ratio") == 100.0
        return unfinished(cell) if lost or (cell.method == "rus" and cell.seed) else cell

    shown = lines(panel(drawn(study(**SMALL, change=lose))["by_ratio_auc"], "step · μ = 0.2"))
    assert len(shown["ros"][0]) == 1
    assert len(shown["rus"][1]) == 2
    assert shown["rus"][2] == []  # a single seed has no bar
    alone = study(
        ratios=(10.0, 100.0), minorities=(0.2,), change=lambda c: unfinished(c) if c.attributes.get("imbalance.ratio") == 100.0 else c
    )
    assert "by_ratio_auc" not in drawn(alone)


def test_data_sets_have_panels_of_their_own(small: SuiteResults) -> None:
    other = tuple(replace(c, config_key=f"x{c.config_key}", attributes={**c.attributes, "dataset": "letters"}) for c in small.cells)
    titles = [each.title for each in chart(drawn(replace(small, cells=(*small.cells, *other)))["by_minority_auc"]).panels]
    assert titles == ["digits · ρ = 10", "digits · ρ = 100", "letters · ρ = 10", "letters · ρ = 100"]


def test_many_panels_and_methods_are_capped_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    many = study(ratios=(10.0, 20.0), minorities=tuple(at / 20 for at in range(1, 14)), seeds=1)
    monkeypatch.setattr(figures, "MAX_LINES", 2)
    summary = summarize(many)
    drawing = figures.against(summary, "auc", RATIO_AXIS)
    history = convergence(summary)
    assert drawing is not None
    assert history is not None
    assert len(chart(drawing).panels) == len(chart(history).panels) == 6
    assert "Drawn: 6 of 14 panels, evenly spread" in drawing.caption
    assert "the first 2 of 5 methods" in drawing.caption
    assert "3 more panels are in the table of metrics" in drawing.alt
    assert "6 of 29 conditions, evenly spread; the others are left out" in history.caption
    assert evenly("abcdefghijklmnop") == ["a", "d", "g", "j", "m", "p"]


def test_the_legend_stands_below_the_panels(made: dict[str, Drawing]) -> None:
    for name in ("by_ratio_auc", "partial_sampling_auc", "convergence"):
        check_legend(chart(made[name]))


def test_the_page_of_a_study_is_whole() -> None:
    bare = {"confusion_KK": None, "curve": (), "class_counts": ()}
    own = study(ratios=(10.0, 100.0), minorities=(), seeds=2, change=lambda made: replace(made, **bare))
    files = build_files(replace(own, metrics=METRICS[:1]))
    page = Reader(files[PAGE].decode())
    assert {link for link in page.links if not link.startswith(("#", "data:"))} <= set(files)
    assert page.undescribed == 0
    assert {f"figures/{name}.svg" for name in ("by_ratio_auc", "convergence")} <= set(files)
    assert re.search(r"none 0\.9\d+ ± 0\.\d+ at 10 to 0\.\d+ ± 0\.\d+ at 100", files[PAGE].decode())
    assert "No training curves were kept." not in page.text


def test_the_same_results_give_the_same_figure(small: SuiteResults) -> None:
    first, second = (draw(figures.study_figures(small, summarize(small))[0], ("svg", "png", "pdf")).files for _ in range(2))
    assert first == second


def test_the_minority_axis_is_linear_and_the_ratio_axis_logarithmic(made: dict[str, Drawing]) -> None:
    for name, axis in (("by_ratio_auc", RATIO_AXIS), ("by_minority_auc", MINORITY_AXIS)):
        assert {(each.x.log, each.x.heading) for each in chart(made[name]).panels} == {(axis.log, axis.heading)}
