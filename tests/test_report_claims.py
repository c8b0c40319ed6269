"""The parts of a report that a study has: its claims with their verdicts, and its printed numbers beside the measured ones."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace

import pytest

from benchmark.evidence import ClaimResult, Effect, ReferenceResult
from benchmark.summary import summarize
from reports import references as published
from reports.claims import counted, effect_text, hardest, shown_p
from reports.parts import sections
from reports.section import Report
from reports.table import Table, latex_text, markdown_text
from reports.write import PAGE, build_files
from tests.results_factory import claims, empty, references, results
from tests.test_reports import HOSTILE, Reader

NAMES = ("claims", "claims-detail", "references")


def tables_of(claims_: tuple[ClaimResult, ...] = (), references_: tuple[ReferenceResult, ...] = ()) -> dict[str, Table]:
    made = replace(empty(), claims=claims_, references=references_)
    return {table.name: table for section in sections(Report(made, summarize(made))) for table in section.tables}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return build_files(replace(empty(), claims=claims(), references=references()))


def rows_of(files: dict[str, bytes], name: str) -> dict[str, dict[str, str]]:
    rows = csv.DictReader(io.StringIO(files[f"tables/{name}.csv"].decode()))
    return {next(iter(row.values())): row for row in rows}


def test_every_claim_is_shown_with_its_verdict() -> None:
    shown = {row[0].text: [cell.text.replace("\u00a0", " ") for cell in row] for row in tables_of(claims())["claims"].rows}
    assert [row[1] for row in shown.values()] == ["supported", "contradicted", "inconclusive", "not tested", "not tested"]
    assert shown["B05"][5:8] == [
        "holds in 3 of 3 conditions; means +0.0050 to +0.0300; hardest: step ratio=1000, +0.0050 ± 0.0040", "3 to 5", "< 0.001",
    ]  # fmt: skip
    assert shown["B06"][5].startswith("holds in 1 of 2 conditions; means −0.0123 to +0.0200; hardest: step ratio=100, −0.0123")
    assert shown["B10"][5:9] == ["−0.0030 ± 0.0040", "5", "0.420", "8 more seeds"]
    assert shown["B18"][5:8] == shown["B31"][5:8] == ["–", "–", "–"]


def test_the_csv_of_claims_has_the_numbers(files: dict[str, bytes]) -> None:
    rows = rows_of(files, "claims")
    for claim in claims()[:3]:
        row, means = rows[claim.id], [effect.mean for effect in claim.effects]
        assert (float(row["lowest_mean"]), float(row["highest_mean"])) == (min(means), max(means))
        assert float(row["p_holm"]) == claim.p
        assert int(row["num_holding"]) == sum(effect.holds for effect in claim.effects)
        assert (float(row["hardest_ci95_low"]), float(row["hardest_mean"])) == (min(means) - 0.004, min(means))
    assert (rows["B18"]["num_effects"], rows["B18"]["num_measured"], rows["B18"]["hardest_mean"]) == ("1", "0", "")
    assert rows["B31"]["p_holm"] == ""


def test_every_effect_is_a_row_of_the_details(files: dict[str, bytes]) -> None:
    rows = list(csv.DictReader(io.StringIO(files["tables/claims-detail.csv"].decode())))
    effects = [effect for claim in claims() for effect in claim.effects]
    assert [row["condition"] for row in rows] == [effect.condition for effect in effects]
    assert [float(row["mean"] or "nan") for row in rows[:-1]] == [effect.mean for effect in effects[:-1]]
    assert [row["holds"] for row in rows] == ["yes", "yes", "yes", "yes", "no", "yes", ""]
    assert tables_of(claims())["claims-detail"].rows[0][4].text == "+0.0300 ± 0.0040"


@pytest.mark.parametrize(
    ("relation", "worst"),
    [("a >= b - 0.01", -0.02), ("a > b", -0.02), ("a <= b + 0.01", 0.03), ("a < b", 0.03), ("a = b within 0.01", 0.03)],
)
def test_the_hardest_condition_is_the_one_furthest_from_the_claim(relation: str, worst: float) -> None:
    effects = [Effect(f"c{mean}", relation, mean, mean, mean, 3, holds=False) for mean in (0.03, -0.02, 0.001)]
    assert hardest(effects).mean == worst
    assert hardest([*effects[:2], replace(effects[2], holds=True)]).mean == worst
    one = [replace(effect, holds=effect.mean != 0.001) for effect in effects]
    assert hardest(one).mean == 0.001  # one that does not hold comes before all that do


def test_what_was_not_measured_and_several_relations_are_said() -> None:
    first, *rest = claims()[0].effects
    lost = replace(rest[0], mean=math.nan, low=math.nan, high=math.nan, num=0, holds=False)
    assert "holds in 2 of 2 conditions (1 not measured)" in effect_text(replace(claims()[0], effects=(first, lost, rest[1])))
    both = replace(claims()[0], effects=(first, replace(first, relation="ros >= rus", mean=0.01)))
    assert "2 of 2 comparisons" in effect_text(both)
    assert "hardest: step ratio=10, ros >= rus" in effect_text(both)


def test_the_verdicts_are_counted_in_words() -> None:
    words = "1 supported, 1 contradicted, 1 inconclusive, 2 not tested; p adjusted by Holm's method over the 3 claims that could be tested"
    assert counted(claims()) == words
    assert counted(claims()[3:]) == "2 not tested"
    assert [shown_p(p).text for p in (math.nan, 0.0, 0.00099, 0.001, 1.0)] == ["–", "< 0.001", "< 0.001", "0.001", "1.000"]


def test_a_verdict_is_told_by_sign_and_word_and_not_by_colour_alone(files: dict[str, bytes]) -> None:
    page = files[PAGE].decode()
    for mark, sign, word in (("supported", "✓", "supported"), ("contradicted", "✗", "contradicted"), ("not-tested", "–", "not tested")):
        assert re.search(rf'<td class="verdict {mark}"[^>]*><span aria-hidden="true">{sign}</span> {word}</td>', page)


def test_published_stands_beside_measured() -> None:
    rows = {row[0].text: [cell.text for cell in row[3:7]] for row in tables_of((), references())["references"].rows}
    assert rows == {
        "T4a": ["0.9941", "0.9871 ± 0.0042 (n=5)", "−0.0070 ± 0.0042", "comparable"],
        "T4b": ["0.9631", "0.910 ± 0.010 (n=3)", "–", "levels not to be compared: other data and recipe"],
        "T4c": ["0.9074", "–", "–", "not measured: ILSVRC is not here"],
        "F3": ["only in a figure", "0.950 (n=1)", "–", "only in a figure"],
    }
    assert published.counted(references()) == (
        "4 published numbers: 1 comparable, 1 with levels not to be compared, 1 not measured, 1 only in a figure"
    )


def test_the_csv_of_references_compares_only_what_is_comparable(files: dict[str, bytes]) -> None:
    rows = rows_of(files, "references")
    assert float(rows["T4a"]["difference"]) == pytest.approx(0.9871 - 0.9941)
    assert [rows[name]["difference"] for name in ("T4b", "T4c", "F3")] == ["", "", ""]
    assert (rows["F3"]["published"], rows["T4b"]["published"], rows["T4b"]["measured"]) == ("", "0.9631", "0.91")


def test_claims_come_after_the_answer_and_the_coverage(files: dict[str, bytes]) -> None:
    page = build_files(replace(results(ratios=(10.0,)), claims=claims(), references=references()))[PAGE].decode()
    places = [page.index(part) for part in ('class="answer"', 'id="coverage"', 'id="claims"', 'id="metrics"', 'id="references"')]
    assert places == sorted(places)
    assert 'id="claims"' in files[PAGE].decode()  # also where nothing has run


def test_the_tables_of_a_study_are_laid_out_as_it_printed_them() -> None:
    """A table of the study with a row per choice of cells and a column per metric; a source with one metric stays in the list alone."""

    def printed(where: str, metric: str, value: float | None, measured: float = math.nan, *, comparable: bool = True) -> ReferenceResult:
        return ReferenceResult(f"{where}{metric}", where, metric, value, "Table 9", measured, 0.02, 3, comparable=comparable)

    found = (
        printed("dataset=x, share=0.5", "accuracy", 0.7, 0.71234), printed("dataset=x, share=0.9", "accuracy", 0.8, 0.9, comparable=False),
        printed("dataset=x, share=0.5", "auc", None), *references(),
    )  # fmt: skip
    tables = tables_of((), found)
    assert [name for name in tables if name.startswith(("printed", "references"))] == ["printed-1-table-9", "references"]
    table = tables["printed-1-table-9"]
    assert table.caption.startswith("Table 9 of the study")
    assert table.caption.endswith("All of dataset=x.")
    assert [column.name for column in table.columns] == ["where", "accuracy", "auc"]
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["share=0.5", "0.7 / 0.712 ± 0.020", "– / –"],
        ["share=0.9", "0.8 / 0.900 ± 0.020°", "–"],
    ]


def test_without_claims_and_references_nothing_of_them_is_there() -> None:
    files = build_files(empty())
    assert not [name for name in files if any(part in name for part in NAMES)]
    assert not {"#claims", "#references", "#imbalance"} & set(Reader(files[PAGE].decode()).links)
    assert "claims-detail" not in tables_of(claims()[4:])


def test_hostile_texts_stay_texts() -> None:
    files = build_files(replace(empty(), claims=claims(text=HOSTILE), references=references(text=HOSTILE)))
    page = Reader(files[PAGE].decode())
    assert page.tags.count("script") == 1
    assert page.text.count(HOSTILE) >= 5 * 3 + 4 * 2
    assert "<script>alert" not in files[PAGE].decode()
    tables = tables_of(claims(text=HOSTILE), references(text=HOSTILE))
    for table in (tables[name] for name in NAMES):
        lines = markdown_text(table).splitlines()[2:]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(table.columns) + 1}
        text = latex_text(table)
        body = text[text.index("\\midrule") : text.index("\\bottomrule")].splitlines()[1:]
        assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {len(table.columns) - 1}
        assert not re.search(r"(?<!\\)[#%_]", "".join(body))


def test_prose_is_wrapped_in_latex_and_greek_is_mathematics() -> None:
    text = latex_text(tables_of(claims(text=" μ ≥ 0.5"))["claims"])
    assert r"\begin{tabular}{ll" + r"p{0.12\linewidth}" * 2 + "l" + r"p{0.12\linewidth}rr" + r"p{0.12\linewidth}" * 2 + "}" in text
    assert r"hurts $\mu$ $\geq$ 0.5" in text
    assert "\u00a0" not in text
