"""Suites as text: mistakes and their messages, hostile input, settings, the written language and its schema."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmark.errors import UserError, nearest, unknown
from benchmark.grid import expand
from benchmark.language.document import MAX_BYTES, parse
from benchmark.language.located import SuiteError
from benchmark.schema import suite_schema
from benchmark.spec import read_suite, shipped
from suites import FOLDER

SUITES = Path(__file__).parent / "suite_files"
GOOD = sorted((SUITES / "good").glob("*.yaml"))
BAD = sorted((SUITES / "bad").glob("*.yaml"))
BASE = "suite: s\ngrid: {dataset: digits, model: lenet5, method: [none, {thresholding: {base: ros}}]}\nrecipe: {batch: 8}\n"


def written(folder: Path, text: str | bytes, name: str = "s.yaml") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def as_json(text: str) -> Any:
    """A suite as an editor's schema checker sees it."""
    return json.loads(json.dumps(parse(text, source="suite").plain))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_mistake_is_named_with_its_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    with pytest.raises(UserError) as caught:
        expand(read_suite(path.name))
    assert f"{caught.value}\n" == path.with_suffix(".txt").read_text()


def test_there_are_enough_pairs_and_each_is_complete() -> None:
    assert len(GOOD) >= 25
    assert len(BAD) >= 25
    assert {path.stem for path in BAD} == {path.stem for path in (SUITES / "bad").glob("*.txt")}
    assert {path.stem for path in GOOD} == {path.stem for path in (SUITES / "good").glob("*.json")}


def test_scalars_follow_yaml_1_2() -> None:
    plain = parse("{a: 1e-3, b: [no, yes, on, OFF, 12:30, 010, 0x1f, 1_000], c: [true, False, ~, .5, 1., -3, +4, 1E5]}", source="x").plain
    assert plain == {
        "a": 0.001,
        "b": ["no", "yes", "on", "OFF", "12:30", "010", "0x1f", "1_000"],
        "c": [True, False, None, 0.5, 1.0, -3, 4, 1e5],
    }


def test_every_value_knows_its_line_and_column() -> None:
    root = parse("suite: s\ngrid:\n  method:\n    - none\n    - ros: {ratio: 2}\n", source="x.yaml")
    ratio = root.items["grid"].items["method"].entries[1].items["ros"].items["ratio"]
    assert (ratio.place.line, ratio.place.column, ratio.path) == (5, 20, ("grid", "method", 1, "ros", "ratio"))


def test_a_suite_carries_what_reports_need(tmp_path: Path) -> None:
    text = (
        "suite: s\nquestion: ' Which? '\nbaseline: ros\nmetrics: [recall.per_class, {fbeta: {beta: [1, 2]}}, recall]\n"
        "grid: {dataset: digits, model: lenet5, method: [none, ros]}\n"
    )
    path = written(tmp_path, text)
    suite = read_suite(path)
    assert (suite.name, suite.question, suite.baseline, suite.text, str(suite.path)) == ("s", "Which?", "ros", text, path)
    assert [metric.text for metric in suite.metrics] == ['{"recall":{}}', '{"fbeta":{"beta":1.0}}', '{"fbeta":{"beta":2.0}}']
    assert suite.show_per_class == ("recall",)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("recipe.batch", "--set recipe.batch: expected `key=value`"),
        ("recipe.batch=many", "--set recipe.batch=many: expected a whole number for 'batch', found 'many'."),
        ("recipe.bacth=8", "--set recipe.bacth=8: unknown entry of the recipe 'bacth'. Did you mean 'batch'?"),
        ("model.droput=0.5", "unknown parameter of the models of this suite: 'droput'. Did you mean 'dropout'? Known: dropout, init."),
        ("method.base.ration=2", "unknown parameter of the methods of this suite: 'base.ration'"),
        ("imbalance.ratio=2", "unknown parameter of the imbalances of this suite: 'ratio'"),
        ("iterations=5", "unknown axis or path 'iterations'. Did you mean 'recipe.iterations'?"),
        ("exclude=[]", "unknown axis or path 'exclude'"),
        ("recipe.optimizer.lr=[", "--set recipe.optimizer.lr=[: not valid YAML"),
        ("metrics=[acu]", "--set metrics=[acu]: #1: unknown metric 'acu'. Did you mean 'auc'?"),
        ("seeds=0", "--set seeds=0: expected at least 1 seed, found 0."),
        ("seeds.x=0", "unknown axis or path 'seeds.x'"),
        ("recipe=5", "--set recipe=5: expected a mapping"),
        ("recipe.lr=0.1", "'lr' is a parameter of the optimizer, `optimizer: {sgd: {lr: 0.1}}`."),
        ("baseline=rus", "--set baseline=rus: 'rus' is no method of this suite's grids: name one of none, thresholding"),
    ],
)
def test_a_wrong_setting_is_an_error_that_repeats_it(tmp_path: Path, setting: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_suite(written(tmp_path, BASE), overrides=[setting])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("ROS", ["ros", "rus"], "ros"),
        ("SGD", ["adam", "sgd"], "sgd"),
        ("FashionMNIST", ["fashion-mnist", "mnist"], "fashion-mnist"),
        ("smote", ["step", "inv"], None),
        ("resnet18", ["lenet5", "small-cnn"], None),
        ("acc", ["accuracy", "auc"], "accuracy"),
        ("oversampling", ["none", "ros", "rus"], "ros"),
        ("undersampling", ["none", "ros", "rus"], "rus"),
        ("learning_rate", ["lr", "momentum"], "lr"),
        ("rso", ["ros", "rus"], "ros"),
        ("ratio", ["imbalance.minority", "imbalance.ratio"], "imbalance.ratio"),
        ("", ["a"], None),
    ],
)
def test_the_name_that_is_meant_is_offered(name: str, known: list[str], near: str | None) -> None:
    assert nearest(name, known) == near


@pytest.mark.parametrize(("kind", "has_hint"), [("method", True), ("metric", True), ("optimizer", False), ("suite", False)])
def test_kinds_that_are_often_ones_own_name_the_option(kind: str, has_hint: bool) -> None:
    assert unknown(kind, "mine", ["a"]).endswith(" Your own? Add --plugins FOLDER.") is has_hint


@pytest.mark.parametrize(
    ("name", "message"), [("a.json", "a.json is there, but a suite ends in .yaml."), ("folder", "folder is a folder: ")]
)
def test_a_path_of_something_else_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    for spelling in (name, f"./{name}"):
        with pytest.raises(UserError, match=f"^{re.escape(message)}"):
            read_suite(spelling)


def test_a_baseline_needs_its_method_unless_it_is_the_default_or_the_methods_are_replaced(tmp_path: Path) -> None:
    only_ros = "suite: s\ngrid: {dataset: digits, model: lenet5, method: ros}\n"
    assert read_suite(written(tmp_path, only_ros)).baseline == "none"
    with pytest.raises(SuiteError, match="s.yaml:3: baseline: 'none' is no method of this suite's grids: name one of ros"):
        read_suite(written(tmp_path, f"{only_ros}baseline: none\n"))
    assert read_suite(written(tmp_path, f"{only_ros}baseline: ros\n"), overrides=["method=rus"]).baseline == "ros"


def test_a_name_that_is_no_suite_says_which_are() -> None:
    with pytest.raises(UserError, match="unknown suite 'quikstart'. Did you mean 'quickstart'"):
        read_suite("quikstart")


@pytest.mark.parametrize("name", ["nowhere.yaml", "", "a\0b.yaml", "x" * 5000 + ".yaml", "/dev/null/x.yaml", "tests/"])
def test_a_path_that_is_no_file_is_a_users_error(name: str) -> None:
    with pytest.raises(UserError):
        read_suite(name)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="larger than 1,000,000 bytes"):
        read_suite(written(tmp_path, b"#" * (MAX_BYTES + 1)))


@pytest.mark.parametrize(
    "text", ["[" * 5000, "{a: " * 5000, "- " * 5000, "a: &a {b: *a}", '"\\Uffffffff"', '"\\ud800"', "%YAML 1" + "0" * 5000]
)
def test_hostile_text_is_refused_with_a_line(text: str) -> None:
    with pytest.raises(SuiteError, match="^x:1: "):
        parse(text, source="x")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(BASE)
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "base.yaml").symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(SuiteError, match="'base.yaml' is a link out of the suite's folder"):
        read_suite(written(inner, "suite: child\nextends: base.yaml\n"))


def test_a_mistake_in_a_parent_is_located_in_the_parent(tmp_path: Path) -> None:
    written(tmp_path, BASE + "seeds: none\n", "base.yaml")
    with pytest.raises(SuiteError, match=r"base.yaml:4: seeds: expected how many seeds"):
        read_suite(written(tmp_path, "suite: child\nextends: base.yaml\n"))


def test_a_zip_of_too_many_rows_is_refused(tmp_path: Path) -> None:
    values = list(range(1, 200))
    zips = f"[{{recipe.batch: {values}}}, {{recipe.iterations: {values}}}]"
    with pytest.raises(SuiteError, match="39,601 rows in the product of zips are too many"):
        read_suite(written(tmp_path, f"suite: s\ngrid: {{dataset: digits, model: lenet5, zip: {zips}}}\n"))


def test_a_zip_of_a_large_grid_is_refused_before_it_is_written_out(tmp_path: Path) -> None:
    values = list(range(1, 9001))
    grid = f"{{dataset: digits, model: lenet5, imbalance: {{linear: {{ratio: {values}}}}}, zip: {{recipe.batch: {values}}}}}"
    with pytest.raises(SuiteError, match="9,000 rows"):
        read_suite(written(tmp_path, f"suite: s\ngrid: {grid}\n"))


def test_the_published_schema_is_current() -> None:
    published = json.loads((FOLDER / "schema.json").read_text())
    assert published == suite_schema(), "run: python -m benchmark.schema > suites/schema.json"
    jsonschema.Draft202012Validator.check_schema(published)


def test_every_good_suite_meets_the_schema_and_most_bad_ones_do_not() -> None:
    checker = jsonschema.Draft202012Validator(suite_schema())
    for path in [*GOOD, *shipped().values()]:
        assert not [error.message for error in checker.iter_errors(as_json(path.read_text()))], path.stem
    found = {}
    for path in BAD:
        try:
            found[path.stem] = checker.is_valid(as_json(path.read_text()))
        except (UserError, UnicodeDecodeError):
            continue  # no YAML at all: editors say so without a schema
    missed = sorted(name for name, valid in found.items() if valid)
    assert len(missed) < 0.25 * len(found), missed


def readme_blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", readme_blocks())
def test_every_block_of_the_language_description_works(tmp_path: Path, block: str) -> None:
    """A block without `suite:` is a part: it stands in for the same keys of a whole suite."""
    keys = parse(block, source="README").items
    whole = {"suite": "suite: s", "grid": "grid: {dataset: digits, model: lenet5}"}
    text = block + "".join(f"{line}\n" for key, line in whole.items() if key not in keys and not (key == "grid" and "extends" in keys))
    assert expand(read_suite(written(tmp_path, text)))


WORDS = ["method", "ros", "none", "grid", "zip", "null", "true", "because", "-1", "0", "1e999", ".nan", "9" * 30, "a: ", "x"]
MARKS = [
    "\t",
    "\n",
    "  ",
    "- ",
    ": ",
    "? ",
    "> ",
    "| ",
    "# ",
    "---\n",
    "...",
    "..",
    "*a",
    "&a ",
    "!!x ",
    "<<: ",
    "'>= ",
    *"[]{},'\"~%@é\u2028\ud800\0",
]
PIECES = st.sampled_from(WORDS + MARKS)
SEEDS = [path.read_text() for path in GOOD]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A good suite with a few pieces cut out or put in."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 0, 1, 2, 8])))
        text = text[:start] + draw(st.one_of(PIECES, st.text(max_size=3))) + text[end:]
    return text


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=mutated())
@example(text="suite: s\ngrid: {dataset: digits, model: lenet5, imbalance: {linear: {ratio: 1e999}}}")
@example(text="suite: s\ngrid: {dataset: digits, model: lenet5, imbalance: {counts: {keep: [.nan, [1]]}}}")
@example(text="suite: s\ngrid: {dataset: digits, model: lenet5, imbalance: {5: {}}}")
@example(text="suite: s\nextends: 5\n")
@example(text="suite: s\nexclude: [{when: {seed: {a: 1}}, because: x}]\ngrid: {}")
def test_whatever_stands_in_a_file_only_a_users_error_comes_out(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text.encode("utf-8", "surrogatepass"))
    (tmp_path / "defaults.yaml").write_text((SUITES / "good" / "defaults.yaml").read_text())
    with contextlib.suppress(UserError):
        expand(read_suite(path), limit=2000)


VALUES = st.recursive(
    st.sampled_from(
        [None, True, -1, 0, 1, 2.5, 1e999, 2**62, "", "ros", "step", "none", "linear", ">= 1", "1..2", "!=", "recall.per_class"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ros", "step", "ratio", "base", "seed", "zip", "5"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def replaced(draw: Any, value: Any) -> Any:
    """A document with one value in it, wherever, replaced by another."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 4)) == 0:
        return draw(VALUES)
    key = draw(st.sampled_from(sorted(value, key=str) if isinstance(value, dict) else range(len(value))))
    changed = value.copy()
    changed[key] = replaced(draw, value[key])
    return changed


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), start=st.sampled_from(SEEDS))
def test_whatever_value_stands_anywhere_only_a_users_error_comes_out(tmp_path: Path, data: st.DataObject, start: str) -> None:
    document = replaced(data.draw, parse(start, source="good").plain)
    (tmp_path / "defaults.yaml").write_text((SUITES / "good" / "defaults.yaml").read_text())
    with contextlib.suppress(UserError):
        expand(read_suite(written(tmp_path, json.dumps(document).replace("Infinity", ".inf"))), limit=2000)


@settings(max_examples=200, deadline=None)
@given(
    key=st.sampled_from(["recipe.batch", "seeds", "method", "model.dropout", "metrics", "baseline", "dataset.classes", "recipe", ""]),
    value=st.text(),
)
def test_whatever_is_set_only_a_users_error_comes_out(key: str, value: str) -> None:
    with contextlib.suppress(UserError):
        expand(read_suite("smoke", overrides=[f"{key}={value}"]), only=[f"{key}={value}"], limit=2000)
