"""Models on a base from elsewhere: published sizes, frozen bases, weights from files, features computed once, penalties."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy

from benchmark import registry
from benchmark.errors import DataError, InvalidValue
from benchmark.execute.context import choose_machine
from benchmark.execute.features import features_key
from benchmark.execute.loop import TrainingSet, train
from benchmark.execute.macs import macs_per_image
from benchmark.execute.stages import Executor
from benchmark.models import _weights
from benchmark.models._torchvision import WIDTHS
from benchmark.places import default_folders
from benchmark.recipe import Recipe

TINY = {"base": {"small-cnn": {"width": 2}}, "weights": "none", "size": 8, "head": 6}


def model(name="pretrained", **parameters):
    given = {**TINY, **parameters} if name == "pretrained" else {"weights": "none", **parameters}
    return registry.build("models", {name: given})


def size(module):
    return sum(p.numel() for p in module.parameters())


def cache() -> list[Path]:
    return sorted((default_folders().cache / "features").glob("*.npy"))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# -- sizes


def test_resnet50_has_the_sizes_of_the_digest():
    module = model("resnet50").build((1, 28, 28), 10)
    assert module.num_frozen == 23_508_032
    assert size(module) == 2_108_426
    assert size(model("resnet50", head="linear").build_on_features(2048, 10)) == 20_490
    assert macs_per_image(module, (3, 32, 32)) == pytest.approx(83.4e6 + 2.11e6, rel=2e-3)


@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v2", "mobilenet_v3_small", "densenet121"])
def test_torchvision_classifiers_by_name_give_the_features_that_they_promise(network):
    base = model("torchvision", network=network).build_base((3, 32, 32))
    with torch.no_grad():
        assert base(torch.rand(2, 3, 32, 32)).shape == (2, WIDTHS[network])


def test_small_sizes_and_other_channels_are_refused():
    for name, given in (("resnet50", {}), ("torchvision", {"network": "vgg16"})):
        with pytest.raises(InvalidValue, match="at least 32 x 32"):
            model(name, size=16, **given).check((3, 32, 32), 10)
    with pytest.raises(InvalidValue, match="2 channels"):
        model().check((2, 32, 32), 10)


# -- what is fed to the base


def test_grey_images_are_repeated_resized_bilinearly_and_normalised():
    class Caught(nn.Module):
        def forward(self, images):
            self.seen = images
            return images

    from benchmark.models._body import Prepared

    images = torch.rand(3, 1, 28, 28)
    plain, colours = Prepared(Caught(), 32, imagenet=False), Prepared(Caught(), 32, imagenet=True)
    plain(images), colours(images)
    expected = functional_resize(images[0, 0].numpy(), 32)
    for channel, (mean, deviation) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))):
        assert plain.base.seen[0, channel].numpy() == pytest.approx(expected, abs=1e-5)
        assert colours.base.seen[0, channel].numpy() == pytest.approx((expected - mean) / deviation, abs=1e-4)


def functional_resize(image, side):
    """Bilinear with half-pixel centres, by hand."""
    at = np.clip((np.arange(side) + 0.5) * len(image) / side - 0.5, 0, len(image) - 1)
    low = np.minimum(at.astype(int), len(image) - 2)
    weight = at - low
    rows = image[low] * (1 - weight)[:, None] + image[low + 1] * weight[:, None]
    return rows[:, low] * (1 - weight) + rows[:, low + 1] * weight


# -- freezing


def test_a_frozen_base_never_moves_and_is_in_no_state():
    module = model(dropout=0.5).build((1, 8, 8), 3)
    base = module._frozen[0]
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    labels = torch.arange(30) % 3
    data = TrainingSet(torch.rand(30, 1, 8, 8), labels, torch.arange(30))
    train(module, data, Recipe(batch=8), cross_entropy, steps=5, seed=0, progress=lambda *_: None)
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.state_dict().items())
    assert not any(layer.training for layer in base.modules())
    assert set(module.state_dict()) == {"dense.weight", "dense.bias", "head.weight", "head.bias"}


def test_fine_tuning_trains_everything():
    module = model(freeze=False).build((1, 8, 8), 3)
    before = module.state_dict()["prepared.base.conv1.weight"].clone()
    data = TrainingSet(torch.rand(30, 1, 8, 8), torch.arange(30) % 3, torch.arange(30))
    train(module, data, Recipe(batch=8), cross_entropy, steps=2, seed=0, progress=lambda *_: None)
    assert not torch.equal(module.state_dict()["prepared.base.conv1.weight"], before)


def test_a_random_frozen_base_is_a_function_of_its_own_seed_alone():
    def weights(seed, **given):
        torch.manual_seed(seed)
        return torch.cat([w.flatten() for w in model(**given).build((1, 8, 8), 3)._frozen[0].parameters()])

    assert torch.equal(weights(0), weights(1, dropout=0.3))
    assert not torch.equal(weights(0), weights(0, weights_seed=1))


def test_features_of_a_random_base_stay_within_bounds():
    with torch.no_grad():
        assert float(model("torchvision", network="resnet18").build_base((3, 32, 32))(torch.rand(16, 3, 32, 32)).std()) < 20


# -- weights


def test_weights_of_a_fine_tuned_network_of_ours_are_taken(tmp_path):
    module = model(freeze=False).build((1, 8, 8), 3)
    save_file(module.state_dict(), tmp_path / "own.safetensors")
    torch.save({"state_dict": module.state_dict()}, tmp_path / "own.pt")
    for name in ("own.safetensors", "own.pt"):
        taken = model(weights=str(tmp_path / name)).build_base((1, 8, 8))
        assert torch.equal(taken.base.conv2.weight, module.prepared.base.conv2.weight)


def test_weights_are_identified_by_their_content(tmp_path):
    state = model(freeze=False).build((1, 8, 8), 3).state_dict()
    for name in ("a.safetensors", "b.safetensors"):
        save_file(state, tmp_path / name)
    save_file({key: tensor + 1 for key, tensor in state.items()}, tmp_path / "c.safetensors")
    a, b, c = (model(weights=str(tmp_path / f"{name}.safetensors")).science for name in "abc")
    assert a == b != c
    assert "sha256:" in json.dumps(a)
    assert model("resnet50", weights="imagenet").science["resnet50"]["weights"] == "torchvision/IMAGENET1K_V1"


def test_weights_that_do_not_fit_say_what_is_wrong(tmp_path):
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(DataError, match="of another network: the file lacks conv2.weight"):
        model(weights=str(tmp_path / "other.safetensors")).build_base((1, 8, 8))
    with pytest.raises(DataError, match="cannot be read as weights"):
        model(weights=str(tmp_path / "text.safetensors")).build_base((1, 8, 8))
    with pytest.raises(DataError, match=r"was not found. Looked for:\n  - "):
        _ = model(weights="absent.safetensors").science


def test_pickled_code_is_never_run(tmp_path):
    torch.save(Path("/nowhere"), tmp_path / "code.pt")  # any object that is no tensor
    with pytest.raises(DataError, match="cannot be read as weights"):
        model(weights=str(tmp_path / "code.pt")).build_base((1, 8, 8))


def test_imagenet_weights_offline_say_which_file_to_put_where(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(DataError) as raised:
        _weights.load_imagenet("resnet50")
    told = str(raised.value)
    assert f"Put the file resnet50-0676ba61.pth into {tmp_path}/hub/checkpoints" in told
    assert "model.weights=none" in told
    (tmp_path / "hub/checkpoints/resnet50-0676ba61.pth").write_bytes(b"half a file")
    with pytest.raises(DataError, match="is damaged"):
        _weights.load_imagenet("resnet50")


def test_torchvisions_own_file_fits(tmp_path):
    """The names in a file of torchvision's are those of its network, classifier included."""
    from torchvision.models import resnet18

    given = resnet18(weights=None)
    torch.save(given.state_dict(), tmp_path / "resnet18.pth")
    taken = model("torchvision", network="resnet18", weights=str(tmp_path / "resnet18.pth")).build_base((3, 32, 32))
    images = torch.rand(2, 3, 32, 32)
    given.fc = nn.Identity()
    with torch.no_grad():
        assert torch.equal(taken(images), given.eval()(images))


def test_pretrained_has_no_imagenet_weights():
    with pytest.raises(InvalidValue, match="no ImageNet weights of 'small-cnn'"):
        model(weights="imagenet").check((3, 32, 32), 10)


# -- penalties


@pytest.mark.parametrize(("where", "sum_of_sizes", "sum_of_squares"), [("dense", 24, 48), ("head", 78, 210), ("all", 78, 210)])
def test_penalties_are_the_formula(where, sum_of_sizes, sum_of_squares):
    """Kernels of 2 x 6 and 6 x 3, all of size 2 and 3; biases do not count."""
    module = model(l1=0.5, l2=0.25, penalty_on=where).build_on_features(2, 3)
    with torch.no_grad():
        module.dense.weight.copy_(torch.tensor([2.0, -2.0]).expand(6, 2))
        module.head.weight.fill_(-3.0)
    assert float(module.penalty().detach()) == pytest.approx(0.5 * sum_of_sizes + 0.25 * sum_of_squares)
    assert model().build_on_features(2, 3).penalty is None


def test_the_penalty_is_in_the_gradient_and_not_in_the_recorded_loss():
    def trained(**given):
        torch.manual_seed(0)
        module = model(head="linear", penalty_on="head", **given).build_on_features(2, 3)
        inputs = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])
        data = TrainingSet(inputs, torch.tensor([0, 1, 2]), torch.arange(3))
        recipe = registry.build_fields(Recipe, {"optimizer": {"sgd": {"lr": 0.1, "momentum": 0}}, "batch": 3}, what="recipe")
        start = module.head.weight.detach().clone()
        losses = train(module, data, recipe, cross_entropy, steps=1, seed=0, progress=lambda *_: None).losses
        return start, module.head.weight.detach(), losses

    start, plain, plain_losses = trained()
    _, ridge, ridge_losses = trained(l2=0.5)
    _, lasso, _ = trained(l1=0.5)
    assert torch.equal(plain_losses, ridge_losses)
    assert torch.allclose(ridge - plain, -0.1 * 0.5 * 2 * start, atol=1e-6)
    assert torch.allclose(lasso - plain, -0.1 * 0.5 * start.sign(), atol=1e-6)


# -- features, once


def test_kept_features_change_nothing_but_rounding():
    """The same initial weights, batches and dropout, on features and through the base."""
    images, labels = torch.rand(60, 1, 8, 8), torch.arange(60) % 3
    with torch.no_grad():
        features = model().build_base((1, 8, 8))(images)
    logits = []
    for inputs in (images, features):
        torch.manual_seed(0)
        regularised = model(dropout=0.5, l1=0.01)
        module = regularised.build((1, 8, 8), 3) if inputs is images else regularised.build_on_features(features.shape[1], 3)
        torch.manual_seed(1)
        data = TrainingSet(inputs, labels, torch.arange(60))
        train(module, data, Recipe(batch=16), cross_entropy, steps=30, seed=0, progress=lambda *_: None)
        logits.append(module.eval()(inputs).detach())
    assert torch.allclose(*logits, atol=1e-5)


def test_heads_that_are_compared_begin_with_the_same_weights():
    same = [model(**given).init_identity() for given in ({}, {"dropout": 0.5}, {"l1": 1.0}, {"keep_features": False})]
    assert all(each == same[0] for each in same)
    assert model(head="linear").init_identity() != same[0]
    assert registry.build("models", "lenet5").init_identity() == registry.build("models", "lenet5").science


def test_two_phase_trains_the_last_layer_on_a_frozen_base(tmp_path, own_cache):
    found = small.run(tmp_path / "store", small.cells(["two-phase"], model={"pretrained": TINY}))
    assert found.stages == ["train", "predict", "features", "finetune"] or found.stages == ["train", "features", "finetune"]
    assert found.cells[0].status == "ok"


def test_all_that_differs_behind_the_base_shares_its_features(tmp_path, own_cache):
    for number, (seed, fraction, given) in enumerate(((0, 0.5, {}), (1, 0.9, {"dropout": 0.5, "l1": 0.1}), (0, 0.5, {"head": "linear"}))):
        dataset = {"digits": {"size": 8, "train_fraction": fraction}}
        cells = small.cells(["none"], seeds=[seed], dataset=dataset, imbalance="none", model={"pretrained": {**TINY, **given}})
        done = small.run(tmp_path / str(number), cells).cells[0]
        assert done.status == "ok"
    assert len(cache()) == 1
    told = json.loads(cache()[0].with_suffix(".json").read_text())
    assert told["images"] == 1797
    base = size(model().build_base((1, 8, 8)))
    assert done.profile["parameters"] == told["parameters"] + 8 * 10 + 10 == base + 90
    assert done.profile["base_seconds"] == told["seconds"]


def test_features_depend_on_pixels_base_and_pool():
    rows, other = np.arange(5), np.arange(6)
    base, seeded, sized = (model(**given).base_identity() for given in ({}, {"weights_seed": 1}, {"size": 16}))
    keys = [features_key("a", base, rows), features_key("b", base, rows), features_key("a", base, other), features_key("a", seeded, rows)]
    assert len({*keys, features_key("a", sized, rows)}) == 5
    assert model(l1=1.0, dropout=0.5, head="linear").base_identity() == base
    assert model(freeze=False).base_identity() is None
    assert model(keep_features=False).base_identity() is None


def test_only_the_pool_is_looked_at(tmp_path, own_cache):
    dataset = {"digits": {"size": 8, "train_fraction": 0.5, "pool_cap": 20}}
    cells = small.cells(["none"], seeds=[0, 1], dataset=dataset, imbalance="none", model={"pretrained": TINY})
    assert [cell.status for cell in small.run(tmp_path / "store", cells).cells] == ["ok", "ok"]
    (file,) = cache()
    values = np.load(file, allow_pickle=False)
    assert np.isfinite(values).all(axis=1).sum() == 200


def test_augmented_training_goes_through_the_base_and_predicts_from_features(tmp_path, own_cache):
    recipe = {"augment": {"geometric": {"flip": True}}, "iterations": 3}
    cells = small.cells(["none"], model={"pretrained": TINY}, **recipe)
    found = small.run(tmp_path / "store", cells)
    assert found.stages == ["train", "predict"]
    assert found.cells[0].status == "ok"
    assert "base_seconds" not in found.cells[0].profile
    assert found.cells[0].profile["macs"] > macs_per_image(model().build_on_features(8, 10), (8,))


def test_a_file_of_weights_that_changed_after_planning_stops_the_run(tmp_path):
    state = model(freeze=False).build((1, 8, 8), 3).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    cells = small.cells(["none"], model={"pretrained": {**TINY, "weights": str(tmp_path / "w.safetensors")}})
    made, _ = small.plan(tmp_path / "store", cells)
    (stage, *_) = made.stages.values()
    save_file({key: tensor + 1 for key, tensor in state.items()}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="have changed since this was planned"):
        Executor(choose_machine("cpu", 1), default_folders()).run(dataclasses.replace(stage), {}, lambda *_: None)
