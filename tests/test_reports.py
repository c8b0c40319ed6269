"""The report as a reader gets it: right, whole, escaped, repeatable, and working in a browser."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.records import CellResult, SuiteResults
from benchmark.summary import summarize
from reports.drawing import style, svg_and_png
from reports.figures import build_figures
from reports.table import Column, Shown, Table, csv_text, escape_latex, escape_markdown, latex_text, markdown_text
from reports.tables import build_tables
from reports.write import PAGE, build_files, write_report
from tests.results_factory import METHODS, cell, empty, metrics_of, partial, results, unfinished

HOSTILE = "<script>alert(1)</script> \"quoted\" 'q' | _ & % $ # { } ~ ^ \\ $x$"
CHROMIUM = shutil.which("chromium")


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
    tables = {f"tables/{n}.{e}" for n in ("main", "differences", "coverage", "cost", "per_class", "cells") for e in ("csv", "md", "tex")}
    names = ("metric", "differences", "class_counts", "confusion", "training_curves", "per_class_recall")
    assert found == {PAGE} | tables | {f"figures/{name}.{ending}" for name in names for ending in ("svg", "png")}
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


def test_units_stand_in_the_csv_headers(full: dict[str, bytes]) -> None:
    header = full["tables/cost.csv"].decode().splitlines()[0]
    assert header == "condition,method,train [s],predict [s],peak host [MiB],throughput [images/s],sharing [cells per network]"


def test_the_cost_table_names_cpu_time_and_says_whose_memory_it_is() -> None:
    made = results(change=lambda item: replace(item, profile={"seconds.train": 2.0, "cpu_seconds.train": 4.0, "peak_host_mib": 512.0}))
    table = build_tables(made, summarize(made))["cost"]
    assert [column.heading for column in table.columns[2:5]] == ["train [s]", "train CPU [s]", "peak host [MiB]"]
    assert "Peak host memory is that of the whole process" in table.caption


def test_the_page_says_that_sharing_is_not_a_cost(full: dict[str, bytes]) -> None:
    assert "not a method's solo cost" in Reader(full[PAGE].decode()).text


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
    files = build_files(made)
    text = Reader(files[PAGE].decode()).text
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
    assert page.tags.count("script") == 1  # our own
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
    with style():
        (drawing,) = [found for found in build_figures(made, summarize(made)) if found.name == name]
        svg_and_png(drawing.figure)
        (legend,) = drawing.figure.legends
        box, page = legend.get_window_extent(), drawing.figure.bbox
        assert page.x0 <= box.x0 <= box.x1 <= page.x1
        assert page.y0 <= box.y0 <= box.y1 < drawing.figure.axes[0].get_window_extent().y0


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
    assert "the first 12 of 13 conditions" in text
    assert "the first 24 of 26 matrices" in text


def test_different_machines_are_named() -> None:
    made = results(ratios=(10.0,), change=lambda item: replace(item, context={"device": f"cpu {item.seed % 2}"}))
    text = Reader(build_files(made)[PAGE].decode()).text
    assert "cpu 1 (3 cells)" in text
    assert "compare times only within one" in text


def test_undefined_values_are_counted_in_the_table() -> None:
    made = results(change=lambda item: replace(item, metrics=metrics_of(float("nan"))) if item.seed == 0 else item)
    shown = build_tables(made, summarize(made))["main"].rows[0][2].text
    assert shown.endswith("[2/3 seeds] [1 undefined]")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")
def test_sorting_and_filtering_in_a_browser(tmp_path: Path) -> None:
    page = write_report(results(), tmp_path / "report")
    harness = """<script>
    const table = document.getElementById("table-main"), box = document.querySelector("input[data-for=table-main]");
    const column = () => [...table.tBodies[0].rows].map((row) => row.cells[2].dataset.sort);
    const press = () => table.tHead.rows[0].cells[2].querySelector("button").click();
    press(); const up = column(); press(); const down = column();
    box.value = "ratio=100 ros"; box.dispatchEvent(new Event("input"));
    const left = [...table.tBodies[0].rows].filter((row) => !row.hidden).length;
    document.title = JSON.stringify({up: up.join() === [...up].sort().join(), down: down.join() === [...up].reverse().join(), left});
    </script>"""
    page.write_text(page.read_text().replace("</body>", f"{harness}</body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--enable-logging=stderr"]
    command = [str(CHROMIUM), *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "CONSOLE" not in done.stderr
    assert '<title>{"up":true,"down":' in done.stdout
    assert '"left":1}</title>' in done.stdout
