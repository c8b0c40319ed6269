"""Two-phase training: what it shares, what it freezes, and the head's training against references of its own."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import small
import torch
from test_run import contents
from torch import nn

from benchmark import registry, seeds
from benchmark.draw import draw
from benchmark.execute.batches import stream
from benchmark.execute.frozen import Frozen
from benchmark.execute.loop import TrainingSet, head_inputs, train
from benchmark.places import default_folders
from benchmark.price import FORWARD, units
from benchmark.recipe import Recipe

TWO = {"two-phase": {"base": "ros"}}
THROUGH = {"two-phase": {"base": "ros", "frozen_dropout": True}}
WITH_DROPOUT = {"small-cnn": {"width": 2, "dropout": 0.3}}


def chains(store, methods, **options):
    planned, ledger = small.plan(store, small.cells(methods, **options))
    return [cell.work.last.chain for cell in planned.cells], ledger


def arrays(ledger, stage):
    return ledger.arrays(ledger.stage(stage.key))


def test_phase_one_is_the_training_of_its_base(tmp_path):
    (ros, two, rus), _ = chains(tmp_path, ["ros", TWO, {"two-phase": {"base": "rus"}}])
    assert two[0] is ros[0]
    assert rus[0] is not ros[0]
    assert [stage.op for stage in two] == ["train", "features", "finetune"]


def test_the_rates_of_an_axis_share_the_features(tmp_path):
    (slow, fast), _ = chains(tmp_path, [{"two-phase": {"lr_factor": 0.01}}, {"two-phase": {"lr_factor": 0.1}}])
    assert slow[1] is fast[1]
    assert slow[2] is not fast[2]


def test_each_stage_is_computed_once_and_large_arrays_are_let_go(tmp_path):
    methods = ["ros", TWO, {"two-phase": {"base": "ros", "lr_factor": 0.01}}, {"thresholding": {"base": TWO}}]
    done = small.run(tmp_path, small.cells(methods))
    assert [cell.status for cell in done.cells] == ["ok"] * 4
    assert sorted(done.stages) == ["adjust", "features", "finetune", "finetune", "predict", "train"]
    with small.plan(tmp_path, [])[1] as ledger:
        assert {row.op for row in ledger.stages().values() if row.file is None} == {"train", "features"}
    assert "seconds.finetune" in done.cells[-1].profile or "seconds.finetune" in done.cells[-2].profile


def by_the_book(store, iterations, model, method=TWO):
    """Phase 2 with the whole network run at every step, all but the head frozen, an optimizer without tricks.

    The frozen part is in evaluation mode; with `frozen_dropout` all of it but its batch norms is in training mode.
    """
    chosen = [method]
    small.run(store, small.cells(chosen, iterations=iterations, model=model), keep_weights=True)
    (chain,), ledger = chains(store, chosen, iterations=iterations, model=model)
    config = chain[0].config
    dataset, imbalance = registry.build("datasets", config["dataset"]), registry.build("imbalances", config["imbalance"])
    folders = default_folders(None)
    images = dataset.load(folders)
    split = draw(dataset, dataset.info(folders), images, imbalance, config["seed"])
    network = registry.build("models", config["model"]).build(images.images_NCHW.shape[1:], 10)
    network.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in arrays(ledger, chain[0]).items()})
    network.eval()
    if method is THROUGH:
        network.train()
        for layer in network:
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        torch.manual_seed(seeds.stream_seed("dropout", chain[-1].stream_key))
    pixels, labels = torch.from_numpy(np.array(images.images_NCHW)).float() / 255, torch.from_numpy(split.labels_N)
    rows = torch.from_numpy(split.train)
    optimizer = torch.optim.SGD(network.head.parameters(), lr=1, momentum=0.9)
    order = seeds.stream_seed("order", chain[-1].stream_key)
    for picked in stream(len(rows), 16, iterations, order):
        optimizer.param_groups[0]["lr"] = 0.001  # a tenth of the recipe's 0.01
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(pixels[rows[picked]]), labels[rows[picked]]).backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        scores = network(pixels[torch.from_numpy(split.test)]).log_softmax(dim=1)
    return scores.numpy(), arrays(ledger, chain[-1])


@pytest.mark.parametrize("method", [TWO, THROUGH], ids=["features kept", "through"])
@pytest.mark.parametrize("model", [None, WITH_DROPOUT], ids=["plain", "with dropout"])
def test_phase_two_is_training_the_head_behind_the_frozen_network(tmp_path, model, method):
    expected, found = by_the_book(tmp_path, 40, model, method)
    assert found["test.scores"] == pytest.approx(expected, abs=1e-4)
    assert (found["test.scores"].argmax(1) == expected.argmax(1)).all()


def test_phase_two_changes_the_scores_and_starts_from_the_head_of_phase_one(tmp_path):
    small.run(tmp_path, small.cells(["ros", {"two-phase": {"lr_factor": 1e-9}}, TWO], iterations=30))
    (ros, still, two), ledger = chains(tmp_path, ["ros", {"two-phase": {"lr_factor": 1e-9}}, TWO], iterations=30)
    before, unmoved, after = (arrays(ledger, chain[-1])["test.scores"] for chain in (ros, still, two))
    assert unmoved == pytest.approx(before, abs=1e-5)
    assert np.abs(after - before).max() > 1e-3


def test_one_step_of_the_head_is_the_gradient_of_softmax_regression():
    """W - lr (p - y) xᵀ / B, worked by hand."""
    random = torch.Generator().manual_seed(0)
    features = torch.randn(6, 4, generator=random)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    head = nn.Linear(4, 3)
    weight, bias = head.weight.detach().clone(), head.bias.detach().clone()
    recipe = registry.build_fields(Recipe, {"batch": 6, "optimizer": {"sgd": {"lr": 0.5}}}, what="recipe")
    data = TrainingSet(features, labels, torch.arange(6))
    train(head, data, recipe, nn.CrossEntropyLoss(), steps=1, seed=1, progress=lambda *_: None, lr_factor=0.1)
    error = (features @ weight.T + bias).softmax(dim=1) - nn.functional.one_hot(labels, 3)
    assert torch.allclose(head.weight, weight - 0.05 * error.T @ features / 6, atol=1e-6)
    assert torch.allclose(head.bias, bias - 0.05 * error.mean(dim=0), atol=1e-6)


def test_sharing_changes_no_bit(tmp_path):
    """Each cell in a store of its own, nothing shared: the same as all of them in one."""
    methods = ["none", "ros", TWO, {"thresholding": {"base": "ros"}}]
    small.run(tmp_path / "shared", small.cells(methods))
    together = contents(tmp_path / "shared")
    for number, method in enumerate(methods):
        small.run(tmp_path / str(number), small.cells([method]))
        alone = contents(tmp_path / str(number))
        different = {key for key in alone if alone[key] != together[key] and alone[key][0] not in ("train", "features", "predict")}
        assert not different  # of intermediate stages one store may have let the arrays go earlier
        assert {key: alone[key] for key in alone if alone[key][0] in ("ok", "finetune", "adjust")}.items() <= together.items()


def through_and_kept(dropout, **recipe):
    """The head trained behind the frozen network and on the features that reach it, from one start and in one order of images."""
    torch.manual_seed(0)
    images, labels = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8), torch.randint(0, 4, (60,))
    network = registry.build("models", {"small-cnn": {"width": 3, "dropout": dropout}}).build((1, 8, 8), 4)
    network(torch.rand(60, 1, 8, 8))  # batch norms that know something
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    rows = torch.arange(10, 60)
    features = head_inputs(network, images, torch.arange(60))
    head = copy.deepcopy(network.head)
    chosen = registry.build_fields(Recipe, {"batch": 16, **recipe}, what="recipe")
    frozen = Frozen(network)
    for module, inputs in ((frozen, images), (head, features)):
        torch.manual_seed(5)
        data = TrainingSet(inputs, labels, rows)
        train(module, data, chosen, nn.CrossEntropyLoss(), steps=60, seed=3, progress=lambda *_: None, lr_factor=0.5)
    return network, head, before


HARD = {"optimizer": {"sgd": {"lr": 0.1, "weight_decay": 0.05}}, "l1": 1e-3}


@pytest.mark.parametrize("recipe", [HARD, {"optimizer": {"sgd-caffe": {"lr": 0.1, "weight_decay": 0.05}}}, {"optimizer": "adamw"}])
def test_without_dropout_the_head_learns_the_same_behind_the_network_as_on_kept_features(recipe):
    network, head, before = through_and_kept(0.0, **recipe)
    assert not torch.allclose(network.head.weight, before["head.weight"], atol=1e-3)
    torch.testing.assert_close(network.head.state_dict(), head.state_dict(), rtol=1e-4, atol=1e-5)


def test_with_dropout_the_head_learns_something_else_and_what_is_frozen_keeps_every_bit():
    """Weight decay, the L1 penalty and batch norms in a network that trains leave the frozen part alone."""
    network, head, before = through_and_kept(0.5, **HARD)
    assert not torch.allclose(network.head.weight, head.weight, atol=1e-3)
    after = network.state_dict()
    assert {name for name in before if not torch.equal(after[name], before[name])} == {"head.weight", "head.bias"}


def test_through_the_network_phase_two_rests_on_the_training_and_shares_it(tmp_path):
    slower = {"two-phase": {"base": "ros", "frozen_dropout": True, "lr_factor": 0.01}}
    methods = ["ros", TWO, THROUGH, slower, {"thresholding": {"base": THROUGH}}]
    done = small.run(tmp_path, small.cells(methods, model=WITH_DROPOUT))
    assert [cell.status for cell in done.cells] == ["ok"] * 5
    assert sorted(done.stages) == ["adjust", "features", "finetune", "finetune-through", "finetune-through", "predict", "train"]
    (ros, kept, through, slow, _), ledger = chains(tmp_path, methods, model=WITH_DROPOUT)
    assert [stage.op for stage in through] == ["train", "finetune-through"]
    assert ros[0] is kept[0] is through[0] is slow[0]
    with ledger:
        assert {row.op for row in ledger.stages().values() if row.file is None} == {"train", "features"}
        assert not np.array_equal(arrays(ledger, kept[-1])["test.scores"], arrays(ledger, through[-1])["test.scores"])
        row = ledger.stage(through[-1].key)
    assert row.facts["curve"][-1][0] == 5
    assert row.profile["images_per_second"] > 0


def test_phase_two_through_the_network_repeats_to_the_bit(tmp_path):
    found = []
    for store in (tmp_path / "one", tmp_path / "two"):
        small.run(store, small.cells([THROUGH], model=WITH_DROPOUT))
        (chain,), ledger = chains(store, [THROUGH], model=WITH_DROPOUT)
        with ledger:
            found.append(arrays(ledger, chain[-1]))
    assert found[0].keys() == found[1].keys()
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


def test_the_price_of_phase_two_through_the_network_is_that_of_a_forward_pass_an_image(tmp_path):
    (kept, through), _ = chains(tmp_path, [TWO, THROUGH], iterations=7)
    assert units(through[-1]) == units(kept[-1]) == 7 * 16
    assert FORWARD["finetune"] < FORWARD[through[-1].op] < FORWARD["train"]


def test_all_cnn_trains_its_two_last_convolutions_in_phase_two(tmp_path):
    model = {"all-cnn": {"width": 3}}
    size = {"digits": {"size": 9}}
    cells = small.cells([THROUGH, TWO], model=model, dataset=size, iterations=3)
    assert [cell.status for cell in small.run(tmp_path, cells).cells] == ["ok"] * 2
    planned, ledger = small.plan(tmp_path, cells)
    names = {"conv8.weight", "conv8.bias", "conv9.weight", "conv9.bias"}
    with ledger:
        for cell in planned.cells:
            assert {name[5:] for name in arrays(ledger, cell.work.last) if name.startswith("head.")} == names
