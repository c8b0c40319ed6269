"""The report as a reader gets it: right, whole, escaped, repeatable, and working in a browser."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.records import CellResult, SuiteResults
from benchmark.summary import summarize
from reports.charts import Chart
from reports.drawing import figure_of, style
from reports.parts import sections
from reports.section import Report
from reports.table import Column, Shown, Table, csv_text, escape_latex, escape_markdown, latex_text, markdown_text
from reports.write import PAGE, build_files, write_report
from tests.results_factory import METHODS, cell, empty, metrics_of, partial, results, unfinished

HOSTILE = "<script>alert(1)</script> \"quoted\" 'q' | _ & % $ # { } ~ ^ \\ $x$"


class Reader(HTMLParser):
    """Counts tags, and collects texts, attributes that load something, and images without a description."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.undescribed = 0
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.links += [value for name in ("src", "href") if (value := given.get(name)) is not None]
        self.undescribed += tag == "img" and not given.get("alt")

    def handle_data(self, data: str) -> None:
        self.text += data


def tables_of(made: SuiteResults) -> dict[str, Table]:
    return {table.name: table for section in sections(Report(made, summarize(made))) for table in section.tables}


def rows_of(files: dict[str, bytes], name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files[f"tables/{name}.csv"].decode())))


def hostile() -> SuiteResults:
    def spoil(made: CellResult) -> CellResult:
        method = METHODS[made.method if made.method != "thresholding" else "thresholding(none)"]
        own = made if made.method != "ros" else cell(method | {"method": HOSTILE}, made.seed, metrics=made.metrics)
        own = replace(own, class_names=(HOSTILE, "猫", "$y$"), context={HOSTILE: HOSTILE}, code={HOSTILE: "0"})
        return unfinished(own, status="failed", reason=HOSTILE, log_tail=HOSTILE) if own.seed == 2 else own

    made = results(ratios=(10.0,), change=spoil)
    return replace(made, name=HOSTILE, question=HOSTILE, suite_text=HOSTILE, command=HOSTILE)


@pytest.fixture(scope="module")
def full() -> dict[str, bytes]:
    return build_files(results())


def test_every_file_is_there(full: dict[str, bytes], tmp_path: Path) -> None:
    page = write_report(results(), tmp_path / "report")
    found = {str(file.relative_to(page.parent)) for file in page.parent.rglob("*") if file.is_file()}
    tables = ("comparison", "main", "differences", "ranks", "coverage", "cost", "per_class", "cells")
    names = ("metric", "by_ratio_auc", "differences", "class_counts", "confusion", "training_curves", "per_class_recall")
    made = {f"tables/{name}.{ending}" for name in tables for ending in ("csv", "md", "tex")}
    assert found == {PAGE, "plotly.min.js", "report.md", "report.tex"} | made | {f"figures/{name}.svg" for name in names}
    assert {name: (page.parent / name).read_bytes() for name in found} == full  # the same results, the same bytes


def test_every_link_leads_to_a_file_of_the_report(full: dict[str, bytes]) -> None:
    page = Reader(full[PAGE].decode())
    assert {link for link in page.links if not link.startswith(("#", "data:"))} <= set(full)
    assert page.undescribed == 0


def test_nothing_is_fetched_from_outside(full: dict[str, bytes]) -> None:
    assert not re.search(r"https?://", full[PAGE].decode())


def test_the_csv_has_the_truth(full: dict[str, bytes]) -> None:
    rows = {(row["condition"], row["method"], row["metric"]): row for row in rows_of(full, "main")}
    row = rows["step ratio=100", "none", "auc"]
    assert float(row["mean"]) == pytest.approx(0.81)
    assert float(row["standard_deviation"]) == pytest.approx(0.01)
    assert float(row["ci95_high"]) - float(row["mean"]) == pytest.approx(4.30265273 * 0.01 / 3**0.5)
    changes = {(row["condition"], row["method"], row["metric"]): row for row in rows_of(full, "differences")}
    assert float(changes["step ratio=10", "ros", "auc"]["mean"]) == pytest.approx(0.02, abs=0.001)
    assert changes["step ratio=10", "thresholding(none)", "auc"]["ci95_low"] == "0.0"


SOLO = {
    "seconds": 12.5, "seconds_low": 12.0, "seconds_high": 13.25, "images_per_second": 9600.0, "peak_host_mib": 512.0,
    "own_host_mib": 80.0, "parameters": 431080.0, "throttled": 1.0,
}  # fmt: skip


def measured_alone() -> dict[str, Table]:
    made = results(change=lambda item: replace(item, solo=SOLO if item.method == "ros" else {}))
    return tables_of(made)


def test_only_what_was_measured_alone_is_a_cost() -> None:
    table = measured_alone()["cost"]
    names = [column.name for column in table.columns]
    assert names == ["condition", "method", "training", "training", "peak host", "own host", "parameters", "energy", "flags"]
    assert {row[1].text for row in table.rows} == {"ros"}
    assert [shown.text for shown in table.rows[0][2:]] == [
        "12.5 (12.0 to 13.2)", "9600", "512", "80", "431080", "not measured", "throttled",
    ]  # fmt: skip
    assert table.tidy_rows[0][2:] == tuple(SOLO.values())


def test_without_a_profile_no_cost_is_shown_and_the_way_to_it_is(full: dict[str, bytes]) -> None:
    assert full["tables/cost.csv"].decode().splitlines() == ["condition,method"]
    text = Reader(full[PAGE].decode()).text
    assert "not measured" in text
    assert "--profile" in text


def test_contended_measurements_are_left_out_and_counted() -> None:
    def measured(item: CellResult) -> CellResult:
        contended = float(item.attributes["imbalance.ratio"] == 100.0)
        return replace(item, solo={**SOLO, "contended": contended} if item.method != "none" else {})

    table = tables_of(results(change=measured))["cost"]
    assert {row[0].text for row in table.rows} == {"step ratio=10"}
    assert "Left out: 2 of 4 that were contended" in table.caption
    assert len(table.tidy_rows) == 4


def test_planned_stands_against_actual() -> None:
    price = {"seconds": 10.0, "low": 8.0, "high": 13.0}
    planned = {"ops": {"train": {"stages": 2, **price}}, "wall": price, "unknown": 0, "slots": 2, "sharing": 2.6}
    spent = {"ops": {"train": {"stages": 2, "seconds": 12.0}, "predict": {"stages": 2, "seconds": 1.0}}, "wall": 9.0}
    made = replace(results(), account={"planned": planned, "spent": spent})
    table = tables_of(made)["account"]
    assert [[shown.text for shown in row] for row in table.rows] == [
        ["train", "10.0", "8 to 13", "12.0", "1.200"],
        ["predict", "–", "–", "1.0", "–"],
        ["wall time of the run", "10.0", "8 to 13", "9.0", "0.900"],
    ]


def test_partial_results_are_right_and_say_so() -> None:
    made = partial()
    files = build_files(made)
    finished = [item for item in made.cells if item.status == "ok"]
    assert 0 < len(finished) < len(made.cells) / 2
    auc = [row for row in rows_of(files, "main") if row["metric"] == "auc"]
    assert sum(int(row["num_seeds"]) for row in auc) == len(finished)
    total = sum(float(row["mean"]) * int(row["num_seeds"]) for row in auc if row["mean"])
    assert total == pytest.approx(sum(item.metrics["auc"] for item in finished))
    assert f"Partial results. This page rests on {len(finished)} of 18 planned cells" in Reader(files[PAGE].decode()).text


@pytest.mark.parametrize("made", [empty(), replace(empty(), cells=()), replace(empty(), metrics=(), command="", suite_text="")])
def test_a_page_without_results_says_so(made: SuiteResults) -> None:
    text = Reader(build_files(made)[PAGE].decode()).text
    assert "No results." in text
    assert f"of the {len(made.cells)} planned cells" in text


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds(seeds: int) -> None:
    text = build_files(results(ratios=(10.0,), seeds=seeds))["tables/main.md"].decode()
    assert ("0.900 (n=1)" in text) == (seeds == 1)


def test_cells_with_nothing_but_metrics_make_a_page() -> None:
    bare = {"curve": (), "confusion_KK": None, "profile": {}, "class_counts": (), "sampled_counts": (), "context": {}, "resolved": {}}
    files = build_files(results(change=lambda item: replace(item, **bare)))
    assert "No confusion matrices were kept." in Reader(files[PAGE].decode()).text


def test_failures_stand_at_the_top_with_their_log() -> None:
    def fail(made: CellResult) -> CellResult:
        return unfinished(made, status="failed", reason="timeout: 30 s", log_tail="last words") if made.seed == 1 else made

    text = Reader(build_files(results(change=fail))[PAGE].decode()).text
    assert text.index("last words") < text.index("Metrics by method")
    assert "6 × failed: timeout" in text
    assert "[2/3 seeds]" in text


def test_hostile_names_stay_text() -> None:
    files = build_files(hostile())
    page = Reader(files[PAGE].decode())
    assert page.tags.count("script") == 2  # our own: the numbers and the code
    assert HOSTILE in page.text
    assert "<script>alert" not in files[PAGE].decode()
    assert "<script>" not in files["figures/metric.svg"].decode()
    cut = {row["method"] for row in rows_of(files, "main")}
    assert any(name.startswith("<script>alert(1)</script>") for name in cut)


def test_markdown_rows_keep_their_columns() -> None:
    lines = build_files(hostile())["tables/cells.md"].decode().splitlines()[2:]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_latex_escapes_every_special() -> None:
    assert escape_latex("_ & % $ # { } ~ ^ \\") == (r"\_ \& \% \$ \# \{ \} \textasciitilde{} \textasciicircum{} \textbackslash{}")
    text = build_files(hostile())["tables/cells.tex"].decode()
    body = text[text.index("\\midrule") : text.index("\\bottomrule")]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines()[1:]}) == 1


def test_markdown_escapes_every_special() -> None:
    assert escape_markdown("a|b\n<i> *x* `y` \\") == r"a\|b \<i\> \*x\* \`y\` \\"


def test_a_small_table_in_three_forms() -> None:
    columns = (Column("method"), Column("time", "s", numeric=True))
    rows = ((Shown("a_b"), Shown("1.0 ± 0.1", 1.0, "best")), (Shown("c"), Shown("−2.0", -2.0, "tied")))
    table = Table("t", "Cost & co", columns, rows, columns, (("a_b", 1.0), ("c", float("nan"))))
    assert csv_text(table) == "method,time [s]\na_b,1.0\nc,\n"
    assert markdown_text(table).splitlines()[2:] == [
        r"| method | time \[s\] |",
        "| --- | ---: |",
        r"| a\_b | **1.0 ± 0.1** |",
        "| c | −2.0 † |",
    ]
    latex = latex_text(table)
    assert r"a\_b & \textbf{1.0 $\pm$ 0.1} \\" in latex
    assert r"\caption{Cost \& co}" in latex


def test_rewriting_removes_our_stale_files_and_no_others(tmp_path: Path) -> None:
    write_report(results(ratios=(10.0,)), tmp_path)
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "figures" / "notes.txt").write_text("keep")
    write_report(empty(), tmp_path)
    assert sorted(file.name for file in (tmp_path / "figures").iterdir()) == ["notes.txt"]
    assert (tmp_path / "mine.txt").exists()
    assert not list(tmp_path.glob(".writing-*"))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "index.html").write_text("<title>mine</title>")
    with pytest.raises(UserError, match=r"holds other files \(cat, index.html, ...\) and no earlier report"):
        write_report(empty(), tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cat", "index.html"]
    assert (tmp_path / "index.html").read_text() == "<title>mine</title>"


def test_a_first_write_that_breaks_off_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("os.replace", lambda source, target: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_report(empty(), tmp_path)
    assert "Nothing of this selection has run yet." in write_report(empty(), tmp_path).read_text()


@pytest.mark.parametrize("name", ["class_counts", "training_curves", "per_class_recall"])
def test_legends_fit_into_a_figure_of_one_condition(name: str) -> None:
    long = {"none": "none", "ros": "class-weights under a long name", "thresholding": "thresholding(class-weights with a long name)"}
    made = results(ratios=(10.0,), change=lambda item: replace(item, attributes={**item.attributes, "method": long[item.method]}))
    made = replace(
        made, cells=tuple(replace(c, config_key=c.config_key + c.method, curve=((1, len(c.method)), (2, 1))) for c in made.cells)
    )
    drawings = [drawing for section in sections(Report(made, summarize(made))) for drawing in section.drawings]
    (chart,) = [drawing.picture for drawing in drawings if drawing.name == name]
    assert isinstance(chart, Chart)
    check_legend(chart)


def check_legend(chart: Chart) -> None:
    """Inside the figure, and below the labels of all panels."""
    with style():
        figure = figure_of(chart)
        figure.canvas.draw()
        (legend,) = figure.legends
        box, page = legend.get_window_extent(), figure.bbox
        assert page.x0 <= box.x0 <= box.x1 <= page.x1
        assert page.y0 <= box.y0 <= box.y1 < min(axes.get_tightbbox().y0 for axes in figure.axes)


def test_a_write_that_breaks_off_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = write_report(results(ratios=(10.0,)), tmp_path)
    before = page.read_bytes()
    monkeypatch.setattr("os.replace", lambda source, target: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_report(empty(), tmp_path)
    assert page.read_bytes() == before
    assert not list(tmp_path.glob(".writing-*"))


def test_many_panels_are_capped_and_it_is_said() -> None:
    made = results(ratios=tuple(float(2 + at) for at in range(13)), seeds=1, methods=("none", "ros"))
    bare = replace(made, show_per_class=(), cells=tuple(replace(item, curve=(), class_counts=()) for item in made.cells))
    text = Reader(build_files(bare)[PAGE].decode()).text
    assert "Drawn: 6 of 13 conditions, evenly spread" in text
    assert "Drawn: 12 of 26 matrices" in text


def test_different_machines_are_named() -> None:
    made = results(ratios=(10.0,), change=lambda item: replace(item, context={"device": f"cpu {item.seed % 2}"}))
    text = Reader(build_files(made)[PAGE].decode()).text
    assert "cpu 1 (3 cells)" in text
    assert "compare times only within one" in text


def test_undefined_values_are_counted_in_the_table() -> None:
    made = results(change=lambda item: replace(item, metrics=metrics_of(float("nan"))) if item.seed == 0 else item)
    shown = tables_of(made)["main"].rows[0][2].text
    assert shown.endswith("[2/3 seeds] [1 undefined]")
