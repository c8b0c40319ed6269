"""Studies: the same draws whatever the order of work, nothing lost and nothing twice, every trial recorded as what it is."""

from __future__ import annotations

import gc
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import optuna
import pytest
import tuning_factory as factory
from optuna.trial import TrialState
from tuning_factory import FakeRounds, place, points, sqlite, studies, tuned

from benchmark.errors import UserError
from benchmark.owners import ourselves
from benchmark.run import Interrupted
from benchmark.studies import Tuning, unequal
from benchmark.tune.lease import boot_id, is_dead, new_lease
from benchmark.tune.outcome import study_record
from benchmark.tune.pruners import is_hopeless, make_pruner, rungs_of
from benchmark.tune.samplers import LOST, RETRY_OF, VOID
from benchmark.tune.settings import Settings, Spec, checked, parse_spec
from benchmark.tune.storage import close_storage, open_storage, shown
from benchmark.tune.tuner import Tuner

RANDOM = Settings(trials=8, sampler=Spec("random"), pruner=Spec("none"), jobs=3)
ROOT = os.path.dirname(os.path.dirname(__file__))


@pytest.mark.parametrize("sampler", ["tpe{n_startup_trials: 4}", "random", "gp{n_startup_trials: 4}", "cmaes"])
def test_draws_depend_on_neither_the_order_in_which_trials_end_nor_the_day(tmp_path, sampler):
    settings = replace(RANDOM, sampler=parse_spec(sampler, "--sampler"))
    found = []
    for name, reverse in (("a", False), ("b", True)):
        (tmp_path / name).mkdir()
        (study, _), _ = tuned(place(tmp_path / name), settings, FakeRounds(reverse=reverse))
        found.append(points(study))
    assert found[0] == found[1]
    assert len(found[0]) == 8
    assert len({str(point) for point in found[0]}) > 4


def test_tpe_learns_where_trainings_diverge(tmp_path):
    """Failures are no scores, and yet not asked for again and again: Optuna's TPE, which passes over them, failed in 20 of the last 25."""

    def value(values) -> float:
        rate = math.log10(values["recipe.optimizer.lr"])
        return math.nan if rate > -1.5 else 1 - (rate + 2.5) ** 2 / 10

    settings = replace(RANDOM, trials=40, jobs=1, sampler=Spec("tpe"))
    (study,), _ = tuned(place(tmp_path), settings, FakeRounds(value), methods=("none",))
    failed = [trial.state == TrialState.FAIL for trial in study.counted()]
    assert any(failed[:15])
    assert sum(failed[15:]) <= 6
    assert not any(trial.values for trial in study.counted() if trial.state == TrialState.FAIL)


def test_methods_begin_with_the_same_points_and_have_the_same_budget(tmp_path):
    (none, ros), _ = tuned(place(tmp_path), RANDOM)
    assert points(none) == points(ros)
    records = [study_record(study, "") for study in (none, ros)]
    assert [len(record.trials) for record in records] == [8, 8]
    assert unequal(records) == ""


def test_a_search_by_tpe_betters_its_random_beginning(tmp_path):
    settings = replace(RANDOM, trials=20, sampler=Spec("tpe", {"n_startup_trials": 5}))
    (study,), _ = tuned(place(tmp_path), settings, methods=("none",))
    values = [trial.value for trial in study.counted()]
    assert max(values[5:]) > max(values[:5])
    assert np.mean(values[10:]) > np.mean(values[:5])


def test_a_grid_is_the_product_of_the_fixed_sets(tmp_path):
    settings = replace(RANDOM, trials=None, sampler=Spec("grid"))
    (study,), _ = tuned(place(tmp_path), settings, methods=("none",))
    assert {(point["recipe.optimizer.lr"], point["recipe.batch"]) for point in points(study)} == {
        (lr, batch) for lr in (0.001, 0.1) for batch in (16, 32)
    }


def test_stopped_and_gone_on_with_is_straight(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    (straight,), _ = tuned(place(tmp_path / "a"), RANDOM, methods=("none",))
    found = studies(place(tmp_path / "b"), RANDOM, methods=("none",))
    asked = iter([False, True])
    with pytest.raises(Interrupted):
        Tuner(found, FakeRounds(), lambda: next(asked)).run()
    (resumed,), rounds = tuned(place(tmp_path / "b"), RANDOM, methods=("none",))
    assert points(resumed) == points(straight)
    assert len(rounds.ran) == 5  # three had been done


def test_more_trials_go_on_where_fewer_ended(tmp_path):
    tuned(place(tmp_path), RANDOM, methods=("none",))
    (study,), rounds = tuned(place(tmp_path), replace(RANDOM, trials=11), methods=("none",))
    assert len(study.counted()) == 11
    assert len(rounds.ran) == 3


CHILD = """
import sys, time
sys.path.insert(0, "tests")
from tuning_factory import FakeRounds, studies
from test_tune import RANDOM
from benchmark.tune.tuner import Tuner
class Slow(FakeRounds):
    def run(self, lives):
        print("begun", len(lives), flush=True)
        time.sleep(60)
Tuner(studies(sys.argv[1], RANDOM, methods=("none",)), Slow()).run()
"""


def killed(url: str) -> None:
    """A process that is killed while its trials are under way."""
    env = {**os.environ, "PYTHONPATH": ROOT}
    with subprocess.Popen([sys.executable, "-c", CHILD, url], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun 3\n"
        os.kill(process.pid, signal.SIGKILL)


def test_a_process_that_is_killed_loses_no_trial_and_none_is_done_twice(tmp_path):
    (tmp_path / "straight").mkdir()
    (straight,), _ = tuned(sqlite(tmp_path / "straight"), RANDOM, methods=("none",))
    killed(sqlite(tmp_path))
    (study,), rounds = tuned(sqlite(tmp_path), RANDOM, methods=("none",))
    trials = study.trials()
    assert [trial.user_attrs.get(VOID) for trial in trials[:3]] == [LOST] * 3
    assert [trial.user_attrs.get(RETRY_OF) for trial in trials[3:6]] == [0, 1, 2]
    assert [trial.params for trial in trials[3:6]] == [trial.params for trial in trials[:3]]
    assert points(study) == points(straight)
    assert all(trial.state == TrialState.COMPLETE for trial in study.counted())
    assert len(rounds.ran) == 8
    assert study_record(study, "").num_lost == 3


def test_what_the_ledger_has_answers_for_a_killed_process(tmp_path):
    killed(sqlite(tmp_path))
    (study,) = studies(sqlite(tmp_path), RANDOM, methods=("none",))
    first = study.trials()[0]
    rounds = FakeRounds()
    rounds.known[str(study.stored_values(first))] = optuna_told = factory.Told(TrialState.COMPLETE, (0.5,), seconds=7.0)
    Tuner([study], rounds).run()
    assert study.trials()[0].value == optuna_told.values[0]
    assert study_record(study, "").num_lost == 2
    assert len(study.counted()) == 8


@pytest.mark.parametrize("kind", ["sqlite", "journal", "postgres"])
def test_several_who_join_a_study_keep_its_budget_and_do_nothing_twice(tmp_path, kind, request):
    url = {"sqlite": sqlite(tmp_path), "journal": f"journal:{tmp_path / 'log'}"}.get(kind) or request.getfixturevalue("postgres_url")
    settings = replace(RANDOM, trials=12)
    both = [FakeRounds(seconds=0.02) for _ in range(2)]

    def join(rounds: FakeRounds) -> None:
        (study,), _ = tuned(url, settings, rounds, methods=("none",))
        close_storage(study.storage)

    threads = [threading.Thread(target=join, args=(rounds,)) for rounds in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (study,) = studies(url, settings, methods=("none",))
    ran = [number for rounds in both for _, number in rounds.ran]
    assert len(ran) == len(set(ran)) == 12
    assert sorted(ran) == [trial.number for trial in study.counted()]
    assert all(trial.state == TrialState.COMPLETE for trial in study.counted())
    assert study.is_done
    close_storage(study.storage)


def test_of_those_who_make_the_tables_at_once_nobody_leaves_a_connection_open(postgres, new_database):
    """Optuna lets all but one die while they make the tables of a new database; what they had open goes with them, collected or not."""
    url, together, failed = new_database(), threading.Barrier(6), []

    def join() -> None:
        together.wait(60)
        try:
            close_storage(open_storage(url))
        except UserError as error:
            failed.append(error)

    threads = [threading.Thread(target=join) for _ in range(6)]
    gc.disable()
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not failed
        with postgres.connection() as connection:
            database = url.rpartition("/")[2]
            for _ in range(50):  # the server takes a moment to see the end of a connection
                (still,) = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (database,)).fetchone()
                if not still:
                    break
                time.sleep(0.1)
        assert still == 0
    finally:
        gc.enable()


def test_a_failed_trial_is_no_score_and_counts(tmp_path):
    (study,), _ = tuned(place(tmp_path), RANDOM, FakeRounds(lambda v: math.nan if v["recipe.batch"] == 16 else 0.7), methods=("none",))
    record = study_record(study, "")
    failed = [trial for trial in record.trials if trial.state == "failed"]
    assert failed
    assert {(trial.kind, trial.values) for trial in failed} == {("not-finite", ())}
    assert record.winner.values == (0.7,)
    assert record.winner.params["recipe.batch"] == 32
    assert record.seconds == pytest.approx(len(failed) + 2 * (8 - len(failed)))
    assert Tuning.from_document(Tuning("s", (record,)).document).studies == (record,)


def test_a_budget_of_seconds_ends_a_study_that_has_spent_it(tmp_path):
    (study,), _ = tuned(place(tmp_path), replace(RANDOM, trials=None, seconds=9.0, jobs=2), methods=("none",))
    assert len(study.counted()) == 6  # two seconds each, two at a time: over nine after the third round


def test_a_lease_ends_with_its_process_its_machine_or_its_time():
    host, _, _ = ourselves()
    now, lease = time.time(), new_lease()
    assert not is_dead(lease, now)
    assert is_dead({**lease, "born": lease["born"] - 100}, now)  # another process has got the number
    assert is_dead({**lease, "boot": "another"}, now) or not boot_id()
    assert not is_dead({**lease, "host": "elsewhere"}, now)
    assert is_dead({**lease, "host": "elsewhere", "expires": now - 1}, now)
    assert is_dead(None, now - 1000)
    assert not is_dead(None, now)
    assert host == socket.gethostname()


def _study(values: list[dict[int, float]], pruner: Spec) -> tuple[optuna.Study, list]:
    study = optuna.create_study(direction="maximize", pruner=make_pruner(pruner), storage=optuna.storages.InMemoryStorage())
    for reports in values[:-1]:
        trial = study.ask()
        for step, value in reports.items():
            trial.report(value, step)
            is_hopeless(study, study._storage, study.trials[trial.number], frozenset(range(trial.number)))  # leaves what ASHA goes by
        study.tell(trial, list(reports.values())[-1])
    last = study.ask()
    for step, value in values[-1].items():
        last.report(value, step)
    return study, study.trials


def test_asha_keeps_the_best_third_and_looks_at_earlier_trials_only():
    others = [{10: value} for value in (0.5, 0.6, 0.7, 0.8, 0.9)]
    for value, hopeless in ((0.85, False), (0.75, True)):  # of six the best two go on
        study, trials = _study([*others, {10: value}], Spec("asha"))
        assert is_hopeless(study, study._storage, trials[-1], frozenset(range(5))) is hopeless
        assert not is_hopeless(study, study._storage, trials[-1], frozenset())


def test_wilcoxon_goes_by_seeds_as_scipy_does():
    from scipy.stats import wilcoxon

    best = {seed: 0.9 + seed / 1000 for seed in range(6)}
    for low, hopeless in ((0.05, True), (-0.001, False)):
        mine = {seed: best[seed] - low - seed / 5000 for seed in range(5)}
        study, trials = _study([best, mine], Spec("wilcoxon"))
        differences = [mine[seed] - best[seed] for seed in mine]
        assert bool(wilcoxon(differences, alternative="less").pvalue < 0.1) is hopeless
        assert is_hopeless(study, study._storage, trials[-1], frozenset({0})) is hopeless


@pytest.mark.parametrize(("spec", "rungs"), [
    ("asha", (10, 30, 90)), ("asha{min_resource: 5, reduction_factor: 4}", (5, 20, 80)), ("median", (20, 40, 60, 80)),
    ("wilcoxon", ()), ("none", ()),
])  # fmt: skip
def test_where_a_pruner_looks(spec, rungs):
    assert rungs_of(parse_spec(spec, "--pruner")) == rungs


@pytest.mark.parametrize(("settings", "words"), [
    (Settings(metrics=("acu",)), "Did you mean 'auc'"),
    (Settings(metrics=("test.auc",)), "validation part only"),
    (Settings(metrics=("seconds",)), "name a metric first"),
    (Settings(per=("modle",)), "Did you mean 'model'"),
    (Settings(metrics=("auc", "seconds"), pruner=Spec("median")), "several objectives"),
])  # fmt: skip
def test_what_cannot_be_asked_for_is_said(settings, words):
    with pytest.raises(UserError, match=words):
        checked(settings)


@pytest.mark.parametrize(("what", "words"), [
    ({"sampler": Spec("tep")}, "Did you mean 'tpe'"),
    ({"sampler": Spec("tpe", {"n_startup": 3})}, "Did you mean 'n_startup_trials'"),
    ({"pruner": Spec("ahsa")}, "Did you mean 'asha'"),
    ({"pruner": Spec("asha", {"min_resource": 0})}, "min_resource"),
])  # fmt: skip
def test_an_unknown_sampler_pruner_or_option_names_the_nearest(tmp_path, what, words):
    with pytest.raises(UserError, match=words):
        studies(place(tmp_path), replace(RANDOM, **what))


def test_a_storage_that_is_not_there_is_named_without_its_password():
    assert "secret" not in shown("postgresql+psycopg://me:secret@nowhere/db")
    assert shown("postgresql://nowhere/db?user=me&password=secret") == "postgresql://nowhere/db?password=***&user=me"
    with pytest.raises(UserError) as caught:
        open_storage("postgresql://me:secret@127.0.0.1:1/db")
    assert "cannot be used" in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(UserError, match="no such kind of storage"):
        open_storage("nonsense")


def test_the_validation_part_is_required(tmp_path):
    factory_cells = factory.cells(("none",), dataset={"digits": {"size": 8}})
    space = factory.search_of(factory.parse(factory.SPACE, source="test"))
    with pytest.raises(UserError, match=r"has no validation part.*\{validation: 0.1\}"):
        factory.groups_of("s", factory_cells, space, (), RANDOM)


def test_the_dashboard_names_the_extra_that_it_needs(monkeypatch):
    from benchmark.tune import dashboard

    monkeypatch.setattr(dashboard.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'skewbench\[dashboard\]'"):
        dashboard.serve("sqlite:///x.db", 8080, print)
