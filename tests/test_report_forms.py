"""The report in its other forms: LaTeX that compiles, Markdown for GitHub, CSV with units; and the command line around them."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.cli import main
from benchmark.combine import combined
from benchmark.errors import UserError
from benchmark.records import CellResult, SuiteResults
from benchmark.summary import summarize
from reports.pareto import front, points
from reports.parts import PARTS, sections
from reports.pivot import common_means
from reports.section import Report
from reports.table import Table
from reports.write import PAGE, Formats, build_files, write_report
from tests.results_factory import METRICS, claims, references, results, study, unfinished
from tests.test_reports import HOSTILE, hostile

PDFLATEX = shutil.which("pdflatex")


def tables_of(made: SuiteResults) -> dict[str, Table]:
    return {table.name: table for section in sections(Report(made, summarize(made))) for table in section.tables}


@pytest.mark.skipif(PDFLATEX is None, reason="pdflatex is not on PATH (apt-get install texlive-latex-recommended)")
@pytest.mark.parametrize("kind", ["plain", "hostile"])
def test_latex_compiles(tmp_path: Path, kind: str) -> None:
    made = results() if kind == "plain" else replace(hostile(), claims=claims(text=HOSTILE), references=references(text=HOSTILE))
    write_report(made, tmp_path / "r", Formats(figures=("svg", "pdf") if kind == "plain" else ("svg",)))
    command = [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path / "r", capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    text = (tmp_path / "r" / "report.tex").read_text()
    assert text.count(r"\toprule") == text.count(r"\bottomrule") >= 5
    assert text.count(r"\includegraphics") == (7 if kind == "plain" else 0)


def test_markdown_is_githubs() -> None:
    text = build_files(replace(results(), claims=claims()))["report.md"].decode()
    assert text.startswith("# Which method is best?\n\n")
    headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert headings[:3] == ["Coverage and failures", "Claims", "Metrics by method"]
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        lines = block.splitlines()
        assert set(re.sub(r"[| ]", "", lines[1])) <= set("-:")
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert re.findall(r"!\[[^\]]*\]\((figures/metric\.svg)\)", text)
    assert text.count("<details>") == text.count("</details>") > 0
    bad = build_files(hostile())["report.md"].decode()
    assert not re.findall(r"(?<!\\)<script>", re.sub(r"```text.*?```|`[^`]*`", "", bad, flags=re.DOTALL))


def test_csv_is_tidy_with_units_in_its_header() -> None:
    def measured(item: CellResult) -> CellResult:
        return replace(item, solo={"seconds": 2.0, "seconds_low": 1.9, "seconds_high": 2.1, "peak_host_mib": 300.0})

    files = build_files(results(change=measured), Formats(page=False, tables=("csv",)))
    assert all(name.endswith(".csv") for name in files)
    rows = list(csv.DictReader(io.StringIO(files["tables/cells.csv"].decode())))
    assert len(rows) == 18
    assert float(rows[0]["seconds.train [s]"]) == 2.0
    assert {"seconds [s]", "peak_host_mib [MiB]"} <= set(next(csv.reader(io.StringIO(files["tables/cost.csv"].decode()))))
    comparison = list(csv.DictReader(io.StringIO(files["tables/comparison.csv"].decode())))
    assert {(row["condition"], row["method"]) for row in comparison} == {(r["condition"], r["method"]) for r in rows}
    assert {row["interval"] for row in comparison} == {"t"}


def test_only_what_is_asked_for_is_written_and_what_was_there_goes(tmp_path: Path) -> None:
    assert write_report(results(ratios=(10.0,)), tmp_path / "r").name == PAGE
    made = write_report(results(ratios=(10.0,)), tmp_path / "r", Formats(page=False, tables=("md",), figures=()))
    assert made.name == "report.md"
    found = {file.suffix for file in (tmp_path / "r").rglob("*") if file.is_file() and file.name != ".made-of"}
    assert found == {".md"}
    assert write_report(results(ratios=(10.0,)), tmp_path / "r").name == PAGE  # still known as ours


def test_the_comparison_rests_on_common_seeds_and_counts_what_failed() -> None:
    def lose(made: CellResult) -> CellResult:
        return unfinished(made, status="failed", reason="timeout: 3 s") if made.method == "ros" and made.seed == 2 else made

    made = results(seeds=4, change=lose)
    table = tables_of(made)["comparison"]
    assert [column.name for column in table.columns] == ["method", "step ratio=10", "step ratio=100", "mean of 2"]
    shown = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    common = (0.90 + 0.91 + 0.93) / 3
    assert shown["none"][0].startswith(f"{common:.3f} ± ")
    assert shown["none"][0].endswith(" [3/4]")
    assert shown["ros"][0].endswith(" [3/4] 1 failed")
    overall = common_means(summarize(made), "auc").overall["none"]
    assert (overall.num, overall.mean) == (3, pytest.approx(common - 0.05))  # seeds, not cells
    own = {(row[0].text, row[1].text): row[2].text for row in tables_of(made)["main"].rows}
    assert "seeds]" not in own["step ratio=10", "none"]


def test_many_conditions_run_down_and_methods_across() -> None:
    table = tables_of(study(ratios=(10.0, 20.0, 50.0), minorities=(0.2, 0.5), seeds=2))["comparison"]
    assert [column.name for column in table.columns][:2] == ["condition", "none"]
    assert table.rows[-1][0].text == "mean of 9 conditions"
    assert table.rows[-2][2].text == "not planned"  # the full set has the untreated method alone


def test_the_front_is_what_no_other_method_beats_in_both() -> None:
    cost = {"none": 10.0, "ros": 14.0, "thresholding": 12.0}

    def measured(item: CellResult) -> CellResult:
        return replace(item, solo={"seconds": cost[item.method], "contended": float(item.attributes["imbalance.ratio"] == 100.0)})

    found = points(summarize(results(change=measured)), "auc", "seconds")
    assert list(found) == ["step ratio=10"]  # contended ones are left out
    assert [point.row for point in front(found["step ratio=10"], higher_is_better=True)] == ["none", "ros"]
    assert [point.row for point in front(found["step ratio=10"], higher_is_better=False)] == ["none"]


def test_minority_classes_are_marked() -> None:
    files = build_files(results(ratios=(10.0,)))
    assert "cat ▾" in files["figures/confusion.svg"].decode()
    assert "dog ▾" not in files["figures/confusion.svg"].decode()
    mixed = results(ratios=(10.0,), change=lambda c: replace(c, class_counts=(20, 200, 200) if c.seed else (200, 20, 200)))
    assert "▾" not in build_files(mixed)["figures/confusion.svg"].decode()


def test_several_suites_are_one_report() -> None:
    first = results()
    second = replace(results(ratios=(2.0, 5.0)), name="other", metrics=METRICS[:1])
    made = combined([first, second])
    assert (made.name, len(made.cells), [info.name for info in made.metrics]) == ("factory+other", 36, ["auc"])
    summary = summarize(made)
    assert len(summary.conditions) == 4
    assert {name.rpartition(" · ")[2] for name in summary.conditions} == {"factory", "other"}
    assert summary.coverage.planned == 36
    alone = replace(second, name="third", metrics=METRICS[1:])
    with pytest.raises(UserError, match="no metric in common"):
        combined([second, alone])


def test_a_suite_from_several_stores_is_put_together() -> None:
    def half(seeds: set[int]) -> Callable[[CellResult], CellResult]:
        return lambda made: made if made.seed in seeds else unfinished(made)

    made = combined([results(change=half({0, 1})), results(change=half({1, 2}))])
    assert [cell.status for cell in made.cells] == ["ok"] * 18
    assert [cell.key for cell in made.cells] == [cell.key for cell in results().cells]


def test_every_part_has_an_anchor_of_its_own() -> None:
    made = replace(study(seeds=2, ratios=(10.0, 50.0, 100.0), minorities=(0.2, 0.5)), claims=claims(), references=references())
    found = [section.name for section in sections(Report(made, summarize(made)))]
    assert len(found) == len(set(found)) >= len(PARTS) - 3
    assert found[:3] == ["coverage", "claims", "metrics"]


def test_the_critical_difference_diagram_is_drawn_where_ranks_can_be_tested() -> None:
    made = study(ratios=(10.0, 50.0, 100.0, 500.0), minorities=(0.2, 0.5), seeds=2)
    bare = {"curve": (), "confusion_KK": None, "history": {}, "class_counts": ()}
    short = replace(made, cells=tuple(replace(c, **bare) for c in made.cells), metrics=METRICS[:1])
    files = build_files(short)
    text = files["figures/critical_difference.svg"].decode()
    assert "two-phase(ros)" in text
    page = files[PAGE].decode()
    assert "The ranks differ (Friedman, p" in page
    assert "12 conditions" in page


@pytest.fixture
def fake_tracker(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Stands in for what reads a tracker, which has tests of its own."""
    asked: list[tuple[str, str]] = []

    def read_results(uri: str, suite: str) -> SuiteResults:
        asked.append((uri, suite))
        return replace(results(ratios=(10.0,)), name=suite)

    monkeypatch.setitem(sys.modules, "trackers.pull", SimpleNamespace(read_results=read_results))
    nothing = SimpleNamespace(points=(), unreadable=0)
    monkeypatch.setitem(sys.modules, "trackers.points", SimpleNamespace(read_points=lambda uri, suite, known: nothing))
    return asked


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["report", *words])
    return int(ended.value.code or 0)


def test_the_report_from_a_tracker_is_that_of_the_ledger(fake_tracker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "r"
    assert command("factory", "--from-mlflow", "http://team:5000", "--out", str(out)) == 0
    assert fake_tracker == [("http://team:5000", "factory")]
    assert capsys.readouterr().out.strip() == str(out / PAGE)
    assert (out / PAGE).read_bytes() == build_files(results(ratios=(10.0,)))[PAGE]


def test_metric_baseline_and_format_of_the_command_line(fake_tracker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "r"
    words = ("factory", "--from-mlflow", "x", "--out", str(out))
    assert command(*words, "--metric", "error", "--baseline", "ros", "--format", "csv,latex", "--figures", "svg") == 0
    assert not (out / PAGE).exists()
    rows = list(csv.DictReader(io.StringIO((out / "tables/differences.csv").read_text())))
    assert {(row["baseline"], row["metric"]) for row in rows} == {("ros", "error")}
    assert command(*words, "--metric", "aux") == 2
    assert "--metric: 'aux' is not among the metrics of these results: auc, error." in capsys.readouterr().err
    assert command(*words, "--format", "pdf") == 2


def test_two_suites_from_a_tracker_are_one_report(fake_tracker, tmp_path: Path) -> None:
    assert command("a", "b", "--from-mlflow", "x", "--out", str(tmp_path / "r"), "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r/tables/main.csv").read_text())))
    assert len({row["condition"] for row in rows}) == 2
    assert len(rows) == 2 * 3 * 2


def test_pictures_drawn_by_other_processes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of large reports are, the critical-difference diagram among them."""
    made = study(ratios=(10.0, 50.0, 100.0), minorities=(0.2, 0.5))
    here = build_files(made)
    monkeypatch.setattr("reports.painting.LARGE", 0)
    monkeypatch.setattr("reports.drawing._figure", None)  # whatever is drawn in this process fails
    assert build_files(made) == here
    assert "figures/critical_difference.svg" in here


def test_pictures_are_drawn_here_where_the_other_processes_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = results(ratios=(10.0,))
    here = build_files(made)
    monkeypatch.setattr("reports.painting.LARGE", 0)
    monkeypatch.setattr("benchmark.beside._begin", die)
    assert build_files(made) == here


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


DIAGRAM = """
import hashlib
from benchmark.ranks import Ranks
from reports.drawing import draw
from reports.ranks import diagram
names = ("none", "ros", "rus", "class-weights", "thresholding(ros)")
pairs = {(first, second): 1.0 for first in names for second in names if first != second}
means = {name: 1.0 + at for at, name in enumerate(names)}
found = Ranks("auc", names, ("a", "b", "c"), means, {}, (), "", friedman_p=0.001, pairs=pairs)
print(hashlib.sha256(draw(diagram(found)).files["svg"]).hexdigest())
"""


def test_the_diagram_does_not_depend_on_the_order_of_sets() -> None:
    """Python orders sets of texts anew in each process."""
    made = set()
    for seed in ("1", "2"):
        command, place = [sys.executable, "-c", DIAGRAM], Path(__file__).parents[1]
        told = subprocess.run(command, cwd=place, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
        made.add(told.stdout)
    assert len(made) == 1
