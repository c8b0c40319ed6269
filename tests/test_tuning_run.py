"""Tuning with real trainings: what an objective reads, what pruning leaves behind, and the command itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tuning_factory as factory
from optuna.trial import TrialState
from small import METRICS, Recorder, inline
from test_tune import RANDOM

from benchmark.evaluate import score
from benchmark.grid import expand
from benchmark.ledger import Ledger
from benchmark.places import default_folders
from benchmark.run import How
from benchmark.spec import read_suite
from benchmark.studies import Tuning
from benchmark.tasks import Reported
from benchmark.tune.groups import trial_seeds
from benchmark.tune.rounds import Live, Rounds
from benchmark.tune.samplers import LOST, VOID
from benchmark.tune.settings import Settings, Spec

ROOT = Path(__file__).parent.parent
SUITE = (
    factory.TINY
    + """\
metrics: [accuracy]
search:
  recipe.optimizer.lr: {log: [1e-3, 1]}
  recipe.batch: {choice: [16, 32]}
  recipe.schedule: {choice: [constant, cosine]}
"""
)
ASHA = Settings(trials=2, sampler=Spec("random"), pruner=Spec("asha"), jobs=2)


def rounds(store: Path, ledger: Ledger, judge=None) -> Rounds:
    made = Rounds("fake", default_folders(None), ledger, METRICS, True, ASHA, trial_seeds("fake", 1), (10, 30), Recorder(), How())
    engine = inline(store)
    engine._judge = judge or made.judge
    made.engine = lambda: engine
    return made


def lives(study) -> list[Live]:
    return [Live(study, trial, study.values(trial), study.finished()) for trial in study.ask()]


def test_the_objective_is_the_metric_on_validation_and_nothing_of_the_test_part_is_scored(tmp_path, monkeypatch):
    from sklearn.metrics import roc_auc_score

    seen = []
    monkeypatch.setattr("benchmark.results.score", lambda *given, **named: seen.append(named["parts"]) or score(*given, **named))
    (study,) = factory.studies(factory.place(tmp_path), ASHA, methods=("none",))
    with Ledger(tmp_path) as ledger:
        found = rounds(tmp_path, ledger).run(lives(study))
        assert {told.state for _, told in found} == {TrialState.COMPLETE}
        for live, told in found:
            (last,) = [stage for stage in live.stages.values() if stage.op == "predict"]
            arrays = ledger.arrays(ledger.stage(last.key))
            labels, scores = arrays["validation.labels"], arrays["validation.scores"]
            aucs = [roc_auc_score(labels == label, scores[:, label]) for label in range(10)]
            assert told.values[0] == pytest.approx(np.mean(aucs))
            assert all(name.startswith("validation.") for name in told.scores)
            assert len(live.study.trials()[live.number].intermediate_values) == 2
    assert seen == [("validation",)] * 2


def test_a_pruned_training_is_no_stage_and_one_that_goes_on_is_the_same_to_the_bit(tmp_path):
    (study,) = factory.studies(factory.place(tmp_path), ASHA, methods=("none",))
    first, second = lives(study)
    kept = {}
    for name, judge in (("watched", None), ("stopped", lambda _: False)):
        store = tmp_path / name
        with Ledger(store) as ledger:
            made = rounds(store, ledger, judge)
            made._judged = {}
            live = Live(study, first.trial if name == "watched" else second.trial, first.values, frozenset())
            live.is_pruned = name == "stopped"
            made._run([made._works(live, made.seeds[0])], [live], judged=True)
            kept[name] = {row.op: row.file for row in ledger.stages().values()}
    assert kept["stopped"] == {}
    store = tmp_path / "plain"
    with Ledger(store) as ledger:
        made = rounds(store, ledger)
        made.rungs = ()
        made._run([made._works(Live(study, first.trial, first.values, frozenset()), made.seeds[0])], [first], judged=True)
        plain = {row.op: row.file for row in ledger.stages().values()}
    assert plain["predict"] == kept["watched"]["predict"]  # path, size and checksum


def test_a_training_that_several_trials_rest_on_goes_on_while_one_wants_it(tmp_path):
    (study,) = factory.studies(factory.place(tmp_path), RANDOM, methods=("none",))
    one, two, _ = lives(study)
    with Ledger(tmp_path) as ledger:
        made = rounds(tmp_path, ledger)
        made._judged = {"key": [one, two]}
        one.is_pruned = True
        assert made.judge(Reported("key", 10, 0.5))
        two.is_pruned = True
        assert not made.judge(Reported("key", 10, 0.5))


def test_a_trial_that_another_process_has_taken_up_is_over_here_and_told_no_more(tmp_path):
    (study,) = factory.studies(factory.place(tmp_path), RANDOM, methods=("none",))
    live, *_ = lives(study)
    (elsewhere,) = factory.studies(factory.place(tmp_path), RANDOM, methods=("none",))
    assert elsewhere.void(live.number, LOST)
    with Ledger(tmp_path) as ledger:
        made = rounds(tmp_path, ledger)
        made._judged = {"key": [live]}
        assert not made.judge(Reported("key", 10, 0.5))
        assert not study.tell(live.number, made._told(live))
    assert study.trials()[live.number].user_attrs[VOID] == LOST


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "benchmark", "tune", str(folder / "tiny.yaml"), "--store", str(folder / "store"), "--exec", "fixed",
            "--trials", "6", "--jobs", "2", "--sampler", "random", "--workers", "1", "--no-report", "--no-tracker", *options]  # fmt: skip


@pytest.mark.slow
def test_the_command_shared_by_two_processes_one_of_which_is_killed_then_applied(tmp_path):
    (tmp_path / "tiny.yaml").write_text(SUITE.replace("iterations: 20", "iterations: 150"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command(tmp_path), env=environment, stderr=subprocess.PIPE, text=True) as victim:
        assert victim.stderr is not None
        while "trial 0" not in victim.stderr.readline():
            assert victim.poll() is None
        other = subprocess.Popen(command(tmp_path, "--json", "--apply", str(tmp_path / "tuned.yaml")), env=environment,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        time.sleep(1.0)
        os.kill(victim.pid, signal.SIGKILL)
    out, err = other.communicate(timeout=300)
    assert other.returncode == 0, err
    document = json.loads(out)
    tuning = Tuning.from_document(document)
    for study in tuning.studies:
        assert [trial.state in ("complete", "pruned") for trial in study.trials] == [True] * 6
        assert len({str(trial.params) for trial in study.trials}) == 6
    assert {c.metric for c in tuning.comparisons} == {"accuracy"}
    assert all(set(c.untuned) == set(c.tuned) == {0, 1} for c in tuning.comparisons)
    applied = read_suite(str(tmp_path / "tuned.yaml"))
    rates = {cell.config.method.name: cell.config.recipe.optimizer.lr for cell in expand(applied)}
    assert rates == {study.method: study.winner.params["recipe.optimizer.lr"] for study in tuning.studies}
    assert applied.tuned_by["studies"][0]["trial"] == tuning.studies[0].winner.number
