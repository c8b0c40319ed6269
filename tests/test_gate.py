"""The gate from end to end: small real trainings, the four exit codes, what a verdict says and keeps."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from gate_factory import CONTEXT, METRICS, grid, kept, now, pair_and_setting, rekeyed, skewbench, timing

from benchmark import registry
from benchmark.errors import UserError
from benchmark.gate.check import Check
from benchmark.gate.policy import Policy, points, share
from benchmark.gate.sides import Now, match
from benchmark.gate.triage import changes, installed, lock_changes
from benchmark.gate.verdict import Archive, Change, GateVerdict, from_document, worst
from benchmark.identity import source_key

POLICY = Policy(quality=0.01, time=None, memory=None)


# -- without training


@pytest.fixture
def accepted(tmp_path):
    return kept(tmp_path, grid(seeds=5))


def verdict(accepted, cells, *, whole: bool = True, policy: Policy = POLICY, **fields) -> GateVerdict:
    made = [each if isinstance(each, Now) else now(*each) for each in cells]
    return Check(accepted, match(accepted, made, whole=whole), METRICS, policy, **fields).verdict(baseline="main")


def test_nothing_changed_is_measured_and_ok(accepted):
    found = verdict(accepted, grid(seeds=5))
    assert (found.outcome, found.exit_code) == ("ok", 0)
    assert {cell.state for each in found.configurations for cell in each.cells} == {"unchanged"}
    assert "2 unchanged" in found.summary
    assert found.changes == ()


def test_other_code_with_the_same_predictions_is_ok_and_named(accepted):
    found = verdict(accepted, rekeyed(grid(seeds=5)))
    assert found.outcome == "ok"
    assert {cell.state for each in found.configurations for cell in each.cells} == {"measured"}
    assert "methods:ros" in {change.name for change in found.changes}


def test_a_loss_names_the_configuration_the_metric_and_the_size(accepted):
    found = verdict(accepted, rekeyed(grid(seeds=5, loss={"ros": 0.6})))
    assert (found.outcome, found.exit_code) == ("regressed", 3)
    assert all(text.startswith(("ros: ", "all configurations together: ")) for text in found.regressions)
    assert any("accuracy" in text for text in found.regressions)
    worse = next(each for each in found.configurations if each.name == "ros")
    assert worse.outcome == "regressed"
    tests = {judgement.test for cell in worse.cells for judgement in cell.judgements}
    assert tests == {"DeLong over 300 images", "McNemar exact over 300 images"}


def test_a_gain_is_listed(accepted):
    found = verdict(accepted, rekeyed(grid(seeds=5, loss={"ros": -0.8})))
    assert found.outcome == "ok"
    assert any(text.startswith("ros: accuracy") and "better" in text for text in found.improvements)


def test_never_ok_on_nothing(accepted):
    for cells in ([], [Now(replace(made, status="missing", metrics={})) for made, _ in grid(seeds=5)]):
        found = verdict(accepted, cells)
        assert (found.outcome, found.exit_code) == ("not measured", 5)
        assert found.problems
    assert verdict(accepted, [], whole=False).outcome == "not measured"


def test_missing_and_failed_cells_are_listed_although_the_rest_is_fine(accepted):
    cells = [now(*each) for each in grid(seeds=5)]
    failed = Now(replace(cells[0].result, status="failed", reason="not-finite: loss is nan", metrics={}))
    found = verdict(accepted, [failed, *cells[2:]])
    assert (found.outcome, found.exit_code) == ("not measured", 5)
    assert found.problems == (
        "failed: none · seed 0: not-finite: loss is nan",
        "missing: none · seed 1: in the baseline, no longer in the suite",
    )
    assert verdict(accepted, cells[2:], whole=False).outcome == "ok"  # a part was asked for


def test_cells_that_the_baseline_does_not_have_are_new(accepted):
    found = verdict(accepted, grid(methods=("none", "ros", "rus"), seeds=5))
    assert found.outcome == "ok"
    assert len(found.new) == 5
    assert verdict(accepted, grid(methods=("rus",), seeds=5), whole=False).outcome == "not measured"  # nothing but new ones


def test_other_data_is_not_compared(accepted):
    moved = [(replace(made, resolved={**made.resolved, "fingerprint": "0" * 32}), arrays) for made, arrays in grid(seeds=5)]
    found = verdict(accepted, moved)
    assert found.exit_code == 5
    assert "the data changed" in found.problems[0]
    assert Change("data", "fingerprint", "f" * 32, "0" * 32) in found.changes


def test_reused_results_of_other_libraries_are_not_compared(accepted):
    cells = [replace(now(*each), reused_from="torch 2.0 → 2.1") for each in grid(seeds=5)]
    assert verdict(accepted, cells).exit_code == 5


def test_time_is_judged_with_quality_and_a_slower_step_regresses(tmp_path):
    cells = grid(seeds=5)
    keys = {made.attributes["method"]: pair_and_setting(made)[1] for made, _ in cells}
    window = [timing(seconds) for seconds in (1.0, 1.01, 0.99, 1.005, 0.995)]
    accepted = kept(tmp_path, cells, timings=dict.fromkeys(keys.values(), window))
    slow, same = [timing(1.3), timing(1.3)], [timing(1.0)]
    policy = replace(POLICY, time=0.05, memory=0.05)
    found = verdict(accepted, cells, policy=policy, timings={keys["none"]: same, keys["ros"]: slow})
    assert found.outcome == "regressed"
    assert found.regressions[0].startswith("ros: seconds 1 → 1.3, 30.0% worse (margin 5%")
    elsewhere = {key: [timing(1.0, processor="two")] for key in keys.values()}
    found = verdict(accepted, cells, policy=policy, timings=elsewhere)
    assert found.exit_code == 5
    assert "processor: one → two" in found.problems[0]


def test_triage_says_what_changed():
    ((made, _),) = grid(methods=("ros",), seeds=1)
    after = replace(
        made,
        code={**made.code, "methods:ros": "e" * 32},
        context={**CONTEXT, "torch": "2.1", "processor": "two", "code_version": "bbb"},
        resolved={**made.resolved, "fingerprint": "0" * 32},
    )
    assert {(each.kind, each.name) for each in changes(made, after)} == {
        ("code", "methods:ros"), ("commit", "code_version"), ("library", "torch"), ("data", "fingerprint"), ("context", "processor"),
    }  # fmt: skip
    assert changes(made, made) == ()


def test_the_environment_is_a_lock():
    assert {"numpy", "torch", "click"} <= installed().keys()
    assert lock_changes({"a": "1", "b": "1"}, {"b": "2", "c": "1"}) == [
        Change("library", "a", "1", None), Change("library", "b", "1", "2"), Change("library", "c", None, "1"),
    ]  # fmt: skip


def test_a_verdict_survives_json_and_is_kept(accepted, tmp_path):
    found = replace(verdict(accepted, rekeyed(grid(seeds=5, loss={"ros": 0.6}))), created=1_700_000_000.5)
    file = Archive(tmp_path, "factory").keep(found)
    document = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert from_document(document).document == found.document == document
    later = Archive(tmp_path, "factory").keep(replace(found, created=1_700_000_001.0))
    assert Archive(tmp_path, "factory").files() == [file, later]


def test_outcomes_in_order_of_gravity():
    assert worst(["ok", "inconclusive", "not measured", "regressed"]) == "regressed"
    assert worst(["ok", "inconclusive", "not measured"]) == "not measured"
    assert worst(["ok", "inconclusive"]) == "inconclusive"
    assert worst([]) == "not measured"


def test_margins_as_people_write_them():
    assert (points("0.5pp"), points("0.005"), points("off")) == (0.005, 0.005, None)
    assert (share("5%"), share("0.05"), share("off")) == (0.05, 0.05, None)
    for text in ("", "5", "x", "-1%", "0%", "5 pp%"):
        if text != "5":
            with pytest.raises(UserError, match="expected a margin"):
                share(text)


# -- with trainings

SUITE = """
suite: tiny
question: Does anything help?
seeds: 3
grid:
  dataset: {digits: {size: 8}}
  imbalance: {step: {ratio: 5, minority: 0.5}}
  method: [none, shifted]
  model: {small-cnn: {width: 2}}
recipe: {iterations: 40, batch: 32, optimizer: {sgd: {lr: 0.1}}}
metrics: [auc, accuracy, recall.per_class]
"""
PLUGIN = '''
"""A method of a user's own."""

import torch
from torch.nn.functional import cross_entropy

from benchmark.methods import Method, Train
from benchmark.registry import plugin


@plugin("shifted")
class Shifted(Method):
    """Logit-adjusted cross-entropy."""

    def steps(self, problem):
        return (Train(by=self, own_loss=True),)

    def loss(self, problem):
        shift = SIGN * torch.tensor(problem.class_counts, dtype=torch.float32).log()
        return lambda logits, labels: cross_entropy(logits + shift, labels)
'''
CHEAP = ("--workers", "0", "--exec", "fixed")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Iterator[Path]:
    """A folder with the suite, the plug-in, results and a baseline."""
    place = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        (place / "tiny.yaml").write_text(SUITE)
        (place / "shifted.py").write_text(PLUGIN.replace("SIGN", "1.0"))
        plugins = ("--no-tracker", "--plugins", place / "shifted.py")
        assert skewbench("run", "tiny.yaml", *CHEAP, *plugins, "--no-report")[0] == 0
        code, out, err = skewbench("baseline", "accept", "tiny.yaml", "--timings", 0, *plugins)
        assert code == 0, err
        assert out.startswith("tiny: 6 cells accepted as 'main'")
        yield place


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """A copy of it, to be changed; the plug-in stays where it is: a process loads it once."""
    shutil.copytree(trained, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


@pytest.fixture
def shift(trained, monkeypatch):
    """Edits the plug-in, as another commit would have it: its source, and so its code key, and what it computes."""
    file = trained / "shifted.py"

    def edit(sign: float) -> None:
        file.write_text(PLUGIN.replace("SIGN", str(sign)))
        source_key.cache_clear()
        loss = registry.get("methods", "shifted").loss
        monkeypatch.setattr(registry.get("methods", "shifted"), "loss", scaled(loss, sign))

    yield edit
    file.write_text(PLUGIN.replace("SIGN", "1.0"))
    source_key.cache_clear()


def scaled(loss, sign: float):
    """The plug-in's loss with another sign: its counts to that power."""

    def changed(self, problem):
        counts = tuple(count**sign for count in problem.class_counts)
        return loss(self, replace(problem, class_counts=counts))

    return changed


@pytest.fixture
def gate(trained):
    """`skewbench gate`: exit code, verdict, standard error."""

    def run(*arguments: object) -> tuple[int, dict, str]:
        plugins = ("--no-tracker", "--plugins", trained / "shifted.py")
        code, out, err = skewbench("gate", "tiny.yaml", *CHEAP, *plugins, "--quality", "2pp", "--json", *arguments)
        return code, json.loads(out) if out else {}, err

    return run


def test_the_same_code_is_unchanged_and_nothing_is_trained(place, gate):
    code, found, err = gate()
    assert (code, found["outcome"], found["exit_code"]) == (0, "ok", 0)
    assert "0 trainings to do" in err
    assert found["policy"] == {"quality": 0.02, "time": None, "memory": None, "alpha": 0.01, "metrics": ["auc", "accuracy"]}
    assert len(Archive(Path("skewbench-results"), "tiny").files()) == 1


def test_worse_code_regresses_with_its_name_and_a_command(place, gate, shift, trained):
    shift(-20.0)
    code, found, _ = gate("--alpha", 0.05)  # three seeds decide little
    assert code == 3, found["summary"]
    (worse,) = (each for each in found["configurations"] if each["outcome"] == "regressed")
    assert worse["name"] == "shifted"
    assert [(each["kind"], each["name"]) for each in found["changes"]] == [("code", "methods:shifted")]
    command = worse["cells"][0]["command"]
    assert "--only method=shifted --only seed=0" in command
    code, out, err = skewbench(*shlex.split(command)[1:], *CHEAP, "--no-tracker", "--no-report", "--json")
    assert (code, len(json.loads(out)["cells"])) == (0, 1), err
    out = skewbench("gate", "tiny.yaml", "--plugins", trained / "shifted.py", "--alpha", 0.05, "--no-run")[1]
    assert "tiny against 'main': regressed: shifted:" in out
    assert "Run the worst cell again:" in out
    code, found, _ = gate("--cell", worse["cells"][0]["pair"][:12])
    assert code == 3
    assert "over 539 images" in found["configurations"][0]["judgements"][0]["test"]


def test_what_has_not_run_is_not_measured(place, gate, shift):
    shift(0.5)
    code, found, _ = gate("--no-run")
    assert code == 5
    assert found["problems"][0] == "missing: shifted · seed 0: has not run"


def test_a_baseline_outlives_its_store_and_more_seeds_are_new(place, gate):
    shutil.rmtree("skewbench-results/arrays")
    for file in Path("skewbench-results").glob("ledger.*"):
        file.unlink()
    code, found, _ = gate("--only", "method=none", "--seeds", 4)  # computed again, to the same bits
    assert (code, found["outcome"]) == (0, "ok")
    assert {cell["state"] for each in found["configurations"] for cell in each["cells"]} == {"unchanged", "new"}
    assert found["new"] == ["none · seed 3"]


def test_fresh_computes_everything_again_and_leaves_nothing(place, gate):
    before = sorted(Path("skewbench-results").rglob("*.safetensors"))
    code, found, err = gate("--fresh", "--only", "method=none", "--only", "seed=0")
    assert (code, found["outcome"]) == (0, "ok")
    assert "1 trainings to do" in err
    assert sorted(Path("skewbench-results").rglob("*.safetensors")) == before


def test_what_is_not_done_is_not_accepted(place, trained):
    accept = ("baseline", "accept", "tiny.yaml", "--seeds", 5, "--timings", 0, "--plugins", trained / "shifted.py", "--no-tracker")
    code, _, err = skewbench(*accept)
    assert code == 2
    assert "4 of 10 cells" in err
    assert skewbench(*accept, "--partial", "--name", "part")[0] == 0


def test_wrong_input_is_said(place, gate):
    for arguments, told in (
        (("--against", "other"), "no baseline 'other'. Known: main"),
        (("--quality", "5 apples"), "expected a margin such as 0.5pp"),
        (("--metric", "acuracy"), "Did you mean 'accuracy'?"),
        (("--cell", "zzz"), "no cell of 'tiny' begins so"),
    ):
        code, _, err = gate(*arguments)
        assert code == 2
        assert told in err


@pytest.mark.slow
def test_time_and_memory_are_measured_alone(place, gate, trained):
    only = ("--only", "method=none")
    accept = ("baseline", "accept", "tiny.yaml", *CHEAP, "--plugins", trained / "shifted.py", "--no-tracker", *only, "--name", "timed")
    assert skewbench(*accept, "--timings", 2)[0] == 0
    code, found, err = gate(*only, "--against", "timed", "--time", "5000%", "--memory", "50%", "--no-confirm")
    judgements = {each["measure"]: each for each in found["configurations"][0]["judgements"]}
    assert judgements["memory"]["outcome"] == "ok"
    assert judgements["time"]["num"] == 1
    assert judgements["time"]["before"] > 0
    assert code in (0, 4)  # a busy machine may leave the time open
    assert err.count("measuring alone") == 1
