"""Stages: what is refused while planning and in which words, and what a method is told."""

from __future__ import annotations

import pytest
import small

from benchmark import registry, seeds
from benchmark.errors import InvalidValue
from benchmark.execute.context import choose_machine
from benchmark.execute.stages import Executor
from benchmark.ledger import Ledger
from benchmark.methods import Loss, Method, Step, Train
from benchmark.places import default_folders
from benchmark.records import Problem
from benchmark.registry import KINDS, plugin
from benchmark.run import Runner


def test_images_too_small_for_a_model_are_refused_while_planning(tmp_path):
    with pytest.raises(InvalidValue, match="at least 16 x 16, found 8 x 8"):
        small.plan(tmp_path, small.cells(["none"], model="lenet5"))


def test_a_refusal_names_the_cell(tmp_path):
    cells = small.cells([{"thresholding": {"base": "ros"}}], seeds=(3,), imbalance={"counts": {"keep": [0, *[9] * 9]}})
    with pytest.raises(InvalidValue, match="has no training image") as caught:
        small.plan(tmp_path, cells)
    words = str(caught.value).splitlines()[-1]
    assert words == (
        'That is the cell dataset digits {"size":8}, imbalance counts {"keep":[0,9,9,9,9,9,9,9,9,9]}, '
        'method thresholding {"base":{"ros":{"ratio":1.0}}}, model small-cnn {"width":2}, seed 3.'
    )


def test_a_method_is_told_the_same_when_it_plans_and_when_it_makes_its_loss(tmp_path, monkeypatch):
    """With `epochs` the sampled set has other steps than the set before sampling, of which a problem tells."""
    known = {kind: {name: registry.get(kind, name) for name in registry.names(kind)} for kind in KINDS}
    monkeypatch.setattr(registry, "_known", known)
    monkeypatch.setattr(registry, "_load", known.__getitem__)
    told: list[Problem] = []

    @plugin("curious")
    class Curious(Method):
        """Doubles every class and remembers what it was told."""

        def steps(self, problem: Problem) -> tuple[Step, ...]:
            told.append(problem)
            return (Train(by=self, class_counts=tuple(2 * n for n in problem.class_counts), own_loss=True),)

        def loss(self, problem: Problem) -> Loss:
            import torch

            told.append(problem)
            return torch.nn.functional.cross_entropy

    planned, _ = small.plan(tmp_path, small.cells(["curious"], iterations=None, epochs=0.1))
    stage = planned.cells[0].work.last.chain[0]
    Executor(choose_machine("cpu"), default_folders(None)).run(stage, {}, lambda *_: None)
    assert len(told) == 2
    assert told[0] == told[1]
    assert stage.config["steps"] == pytest.approx(2 * told[0].iterations, abs=1)


def test_shared_or_not_methods_start_alike_and_unshared_ones_go_their_own_way(tmp_path):
    """`share: off`: trainings, orders of images and so results of their own; draws and initial weights stay paired."""
    from benchmark.evaluate import scoring_key
    from benchmark.plan import make_plan

    some = small.cells(["ros", {"thresholding": {"base": "ros"}}, {"two-phase": {"base": "ros"}}])
    with Ledger(tmp_path) as ledger:
        apart = make_plan("small", some, default_folders(None), ledger, scoring=scoring_key(small.METRICS), share=False)
        trains = [cell.work.last.chain[0] for cell in apart.cells]
        assert len({stage.key for stage in trains}) == 3
        assert len({seeds.stream_seed("order", stage.science_key) for stage in trains}) == 3
        assert len({str({k: v for k, v in stage.config.items() if k != "unshared"}) for stage in trains}) == 1
        recorder = small.Recorder()
        Runner(apart, ledger, small.METRICS, small.inline(tmp_path), recorder).run()
    assert recorder.stages.count("train") == 3
    plain, thresholded, _ = recorder.cells
    assert plain.metrics["auc"] != thresholded.metrics["auc"], "independent trainings give different networks"
