"""What is tuned together, what is ruled out, what a study without work does, and what `--apply` writes of it all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tuning_factory as factory
from optuna.trial import TrialState
from test_tune import RANDOM

from benchmark.cli.session import Choice
from benchmark.cli.tuning import _command
from benchmark.cli.tuning_options import Wanted
from benchmark.errors import InvalidValue, UserError
from benchmark.grid import expand
from benchmark.run import Interrupted
from benchmark.spec import Suite, read_suite
from benchmark.studies import Objective, Study, Trial, Tuning, unequal
from benchmark.tune import study as study_module
from benchmark.tune.applying import apply_winners
from benchmark.tune.groups import Group, groups_of
from benchmark.tune.rounds import INVALID
from benchmark.tune.settings import Settings, Spec
from benchmark.tune.storage import shown
from benchmark.tune.study import Told
from benchmark.tune.winners import Winner

SUITE = f"{factory.TINY}metrics: [auc]\n"
OF_ROS = "search: {recipe.optimizer.lr: {log: [1e-3, 1], when: {method: ros}}}\n"
OF_BOTH = "search: {recipe.optimizer.lr: {log: [1e-3, 1]}, recipe.batch: {choice: [16, 32]}}\n"
AUC = (Objective("auc", True),)
ALL = replace(RANDOM, per=("dataset", "imbalance", "model"))


def suite_of(folder: Path, more: str, text: str = SUITE) -> Suite:
    file = folder / "tiny.yaml"
    file.write_text(text + more)
    return read_suite(str(file))


def grouped(suite: Suite, settings: Settings = RANDOM) -> list[Group]:
    return groups_of(suite.name, [cell for cell in expand(suite) if not cell.skip], suite.search, suite.rules, settings)


def study_of(name: str, objectives=AUC, values=(0.9,), **more) -> Study:
    trial = Trial(0, "complete", {"recipe.optimizer.lr": 0.1}, values, seconds=2.0)
    return Study(name, name, "digits", objectives, {"recipe.optimizer.lr": "0.001 … 1 (log)"}, (trial,), (0,), **more)


def test_a_group_whose_condition_never_holds_is_untouched_and_applied_as_it_stands(tmp_path):
    suite = suite_of(tmp_path, OF_ROS)
    none, ros = grouped(suite)
    assert [bool(group.dimensions) for group in (none, ros)] == [False, True]
    tuned, nothing = Winner(ros, "ros", {"recipe.optimizer.lr": 0.1}), Winner(none, "none", {})
    tuning = Tuning("tiny", (study_of("ros"), study_of("none")), command="skewbench tune")
    for name, winners, untouched in (("a", [tuned], [nothing]), ("b", [tuned, nothing], [])):
        assert apply_winners(suite, winners, untouched, tuning, tmp_path / f"{name}.yaml") == 4
        rates = {cell.config.method.name: cell.config.recipe.optimizer.lr for cell in expand(read_suite(str(tmp_path / f"{name}.yaml")))}
        assert rates == {"none": 0.01, "ros": 0.1}


def test_a_condition_on_what_is_searched_rules_nothing_out_but_one_on_what_is_gone_does(tmp_path):
    space = """search:
  recipe.batch: {choice: [16, 32], when: {method: ros}}
  recipe.optimizer.lr: {log: [1e-3, 1], when: {recipe.batch: 32}}
"""
    none, ros = grouped(suite_of(tmp_path, space))
    assert [len(group.dimensions) for group in (none, ros)] == [0, 2]


def test_the_first_objective_that_is_a_metric_is_selected_by(tmp_path):
    suite = suite_of(tmp_path, OF_BOTH)
    winners = [
        Winner(group, group.base.method.name, {"recipe.optimizer.lr": lr}) for group, lr in zip(grouped(suite), (0.1, 0.2), strict=True)
    ]
    objectives = (Objective("seconds", False), Objective("auc", True))
    studies = tuple(study_of(winner.study, objectives, (2.0, 0.9)) for winner in winners)
    assert apply_winners(suite, winners, [], Tuning("tiny", studies), tmp_path / "tuned.yaml") == 4
    select = read_suite(str(tmp_path / "tuned.yaml")).select
    assert select is not None
    assert "validation.auc" in repr(select)


def test_a_storages_password_stands_neither_in_the_command_nor_in_an_applied_suite_which_is_read(tmp_path):
    url = "postgresql://me:hunter2@host/db?password=hunter2"
    wanted = Wanted(None, None, "tpe", "asha", (), ",".join(RANDOM.per), 4, 1, None, url, None, False, 1)
    command = _command(Choice("tiny.yaml", (), (), None, Path("store"), (), False), wanted)
    assert "hunter2" not in command
    assert "postgresql://me:***@host/db?password=***" in command
    suite = suite_of(tmp_path, OF_BOTH)
    winners = [Winner(group, group.base.method.name, {"recipe.optimizer.lr": 0.1}) for group in grouped(suite)]
    tuning = Tuning("tiny", tuple(study_of(winner.study, storage=shown(url)) for winner in winners), command=command)
    assert apply_winners(suite, winners, [], tuning, tmp_path / "tuned.yaml") == 4
    assert "hunter2" not in (tmp_path / "tuned.yaml").read_text()


def test_a_cell_that_is_included_in_spite_of_a_rule_can_be_tuned_but_other_rules_stand(tmp_path):
    rules = """exclude:
  - {when: {method: ros}, because: only where it is wanted}
  - {when: {recipe.batch: 32}, because: too large}
include:
  dataset: {digits: {size: 8, validation: 0.3}}
  imbalance: {step: {ratio: 10, minority: 0.5}}
  method: ros
  model: {small-cnn: {width: 2}}
"""
    none, ros = grouped(suite_of(tmp_path, OF_BOTH + rules))
    assert ros.base.method.name == "ros"
    for group in (none, ros):
        (made,) = group.configurations({"recipe.optimizer.lr": 0.1, "recipe.batch": 16})
        assert made.recipe.optimizer.lr == 0.1
        with pytest.raises(InvalidValue, match="too large"):
            group.configurations({"recipe.optimizer.lr": 0.1, "recipe.batch": 32})


def test_a_budget_of_time_that_nothing_uses_up_ends_after_a_row_of_trials_that_cost_none(tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "FRUITLESS", 5)

    class Impossible(factory.FakeRounds):
        def run(self, lives):
            for live in lives:
                self.ran.append((live.study.name, live.number))
            if len(self.ran) > 20:
                raise Interrupted
            cheap = {live.number: 1.0 if live.number == 3 else 0.0 for live in lives}
            return [(live, Told(TrialState.FAIL, kind=INVALID, seconds=cheap[live.number])) for live in lives]

    (study,), rounds = factory.tuned(
        factory.place(tmp_path), replace(RANDOM, trials=None, seconds=9.0, jobs=2), Impossible(), methods=("none",)
    )
    assert len(rounds.ran) == 10  # the fourth cost something, five more did not, two at a time
    assert study.is_done


def test_what_applies_to_any_method_of_a_study_over_several_is_searched_and_given_to_those_that_have_it(tmp_path):
    space = "{method.ratio: {range: [1, 4]}, recipe.optimizer.lr: {log: [1e-3, 1], when: {method: ros}}}"
    (study,), _ = factory.tuned(factory.place(tmp_path), replace(ALL, trials=2), factory.FakeRounds(lambda _: 0.5), space=space)
    assert [set(point) for point in factory.points(study)] == [{"method.ratio", "recipe.optimizer.lr"}] * 2
    values = study.stored_values(study.trials()[0])
    none, ros = study.group.configurations(values)
    assert (none.method.name, ros.method.doc["ros"]["ratio"]) == ("none", values["method.ratio"])
    assert none.recipe.optimizer.lr == study.group.base.recipe.optimizer.lr
    assert ros.recipe.optimizer.lr == values["recipe.optimizer.lr"]
    assert set(study.group.untuned) == set(values)


def test_several_trainings_with_one_seed_are_not_judged_on_the_way(tmp_path):
    with pytest.raises(UserError, match=r"--pruner asha .*none\+ros has 2 trainings.*Add --pruner none"):
        factory.studies(factory.place(tmp_path), replace(ALL, pruner=Spec("asha")))
    assert len(factory.studies(factory.place(tmp_path), replace(ALL, pruner=Spec("wilcoxon")))) == 1
    assert len(factory.studies(factory.place(tmp_path), replace(RANDOM, pruner=Spec("asha")))) == 2


def test_budgets_of_time_are_compared_as_times_to_about_a_round():
    def spent(name: str, seconds: list[float]) -> Study:
        trials = tuple(Trial(number, "complete", {}, (0.5,), seconds=each) for number, each in enumerate(seconds))
        return replace(study_of(name, budget_seconds=10.0, jobs=2), trials=trials)

    assert unequal([spent("a", [2.0] * 6), spent("b", [4.0] * 4)]) == ""
    assert unequal([spent("a", [2.0] * 6), spent("b", [0.5] * 6)]) == "Unequal budgets: a: 12 s of training, b: 3 s of training."
    assert "trials" in unequal([replace(spent(name, [2.0] * count), budget_seconds=None) for name, count in (("a", 2), ("b", 3))])
