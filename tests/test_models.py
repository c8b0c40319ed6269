"""Models: published parameter counts and initialisations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from benchmark import registry
from benchmark.errors import InvalidValue
from benchmark.execute.macs import macs_per_image
from benchmark.models._init import initialise

COLOUR = (3, 32, 32)


def build(spec, shape=(1, 28, 28), classes=10):
    return registry.build("models", spec).build(shape, classes)


def size(module):
    return sum(p.numel() for p in module.parameters())


def per_layer(module, shape):
    """(parameters, multiply-adds for one image) of every convolution and linear layer: kernel times places of the output."""
    found = []

    def note(layer, _, output):
        found.append((size(layer), layer.weight.numel() * output[0, 0].numel()))

    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with torch.no_grad():
        module.eval()(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize(("shape", "number"), [((1, 28, 28), 431_080), ((3, 32, 32), 657_080)])
def test_lenet5_has_the_parameters_of_buda_table_2(shape, number):
    assert sum(p.numel() for p in build("lenet5", shape).parameters()) == number


def test_lenet5_has_one_relu_after_the_first_linear_layer():
    names = [type(layer).__name__ for layer in build("lenet5")]
    assert names == ["Conv2d", "MaxPool2d", "Conv2d", "MaxPool2d", "Flatten", "Linear", "ReLU", "Linear"]


@pytest.mark.parametrize("init", ["xavier_fan_in", "xavier_glorot", "msra"])
def test_initial_weights_have_the_variance_that_their_name_promises(init):
    torch.manual_seed(0)
    weight = build({"lenet5": {"init": init}}).hidden.weight
    fan_out, fan_in = weight.shape
    variance = {"xavier_fan_in": 1 / fan_in, "xavier_glorot": 2 / (fan_in + fan_out), "msra": 2 / fan_in}[init]
    assert weight.var().item() == pytest.approx(variance, rel=0.02)
    if init == "xavier_fan_in":  # Caffe's filler: U(-a, a), a = sqrt(3 / fan_in)
        assert weight.abs().max().item() == pytest.approx(math.sqrt(3 / fan_in), rel=1e-3)


def test_dropout_is_there_only_when_asked_for():
    assert not [m for m in build("lenet5").modules() if isinstance(m, torch.nn.Dropout)]
    assert [m.p for m in build({"small-cnn": {"dropout": 0.3}}).modules() if isinstance(m, torch.nn.Dropout)] == [0.3]


@pytest.mark.parametrize(("name", "side"), [("lenet5", 15), ("small-cnn", 7), ("all-cnn", 8), ("resnet10", 31)])
def test_images_too_small_are_refused_with_the_smallest_size(name, side):
    model = registry.build("models", name)
    model.check((1, side + 1, side + 1), 10)
    assert model.build((1, side + 1, side + 1), 10)(torch.zeros(2, 1, side + 1, side + 1)).shape == (2, 10)
    with pytest.raises(InvalidValue, match=f"at least {side + 1} x {side + 1}, found {side} x {side}"):
        model.check((1, side, side), 10)


ALL_CNN = [
    (2_688, 2_654_208),
    (83_040, 84_934_656),
    (83_040, 21_233_664),
    (166_080, 42_467_328),
    (331_968, 84_934_656),
    (331_968, 21_233_664),
    (331_968, 11_943_936),
    (37_056, 1_327_104),
    (1_930, 69_120),
]
"""Parameters and multiply-adds of the layers of Buda et al. 2018, Table 3 (digest, section 4)."""


def test_all_cnn_is_that_of_buda_table_3_layer_by_layer():
    module = build("all-cnn", COLOUR)
    assert per_layer(module, COLOUR) == ALL_CNN
    assert (size(module), size(module.head)) == (1_369_738, 38_986)
    assert macs_per_image(module, COLOUR) == sum(macs for _, macs in ALL_CNN) == 270_798_336


def test_all_cnn_at_a_quarter_of_the_width():
    module = build({"all-cnn": {"width": 24}}, COLOUR)
    assert size(module) == 86_698
    assert macs_per_image(module, COLOUR) == pytest.approx(17.4e6, rel=0.003)


def test_all_cnn_has_its_dropout_relus_and_pooling_where_they_are_printed():
    convolutions = ["Conv2d", "ReLU"]
    body = ["Dropout"] + 3 * convolutions + ["Dropout"] + 3 * convolutions + ["Dropout"] + convolutions
    module = build("all-cnn", COLOUR)
    assert [type(layer).__name__ for layer in module][:-1] == body
    assert [type(layer).__name__ for layer in module.head] == [*convolutions, *convolutions, "AdaptiveAvgPool2d", "Flatten"]
    assert [layer.p for layer in module if isinstance(layer, nn.Dropout)] == [0.2, 0.5, 0.5]
    assert [layer.stride[0] for layer in module if isinstance(layer, nn.Conv2d)] == [1, 1, 2, 1, 1, 2, 1]
    without = build({"all-cnn": {"dropout": 0, "input_dropout": 0}}, COLOUR)
    assert not [layer for layer in without.modules() if isinstance(layer, nn.Dropout)]


def test_the_last_relu_of_all_cnn_makes_logits_that_are_never_negative():
    images = torch.rand(4, *COLOUR, generator=torch.Generator().manual_seed(0))
    logits = {}
    for relu in (True, False):
        torch.manual_seed(0)
        module = build({"all-cnn": {"width": 8, "final_relu": relu}}, COLOUR).eval()
        logits[relu] = module(images)
    assert logits[True].min() >= 0 > logits[False].min()


RESNET10 = {"stem": 9_536, "block1": 73_984, "block2": 230_144, "block3": 919_040, "block4": 3_673_088, "head": 513_000}
"""Parameters: digest, section 4."""


def test_resnet10_has_the_parameters_and_multiply_adds_of_the_digest():
    module = build("resnet10", (3, 224, 224), 1000)
    parts = {"stem": size(module.conv0) + size(module.norm0), **{name: size(module.get_submodule(name)) for name in list(RESNET10)[1:]}}
    assert parts == RESNET10
    assert size(module) == 5_418_792
    assert macs_per_image(module.to("meta"), (3, 224, 224)) == pytest.approx(889.2e6, rel=1e-4)


def torchvision_name(name):
    """Where torchvision's ResNet keeps the weight that is called `name` here."""
    first, _, rest = name.partition(".")
    if first.startswith("block"):
        rest = rest.replace("norm", "bn").replace("projection", "downsample")
        return f"layer{first[5:]}.0.{rest}"
    return {"conv0": "conv1", "norm0": "bn1", "head": "fc"}[first] + f".{rest}"


def test_resnet10_computes_what_torchvisions_resnet_of_one_basic_block_a_stage_computes():
    from torchvision.models.resnet import BasicBlock, ResNet

    torch.manual_seed(0)
    theirs = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=7)
    ours = build("resnet10", (3, 64, 64), 7)
    weights = theirs.state_dict()
    ours.load_state_dict({name: weights.pop(torchvision_name(name)) for name in ours.state_dict()})
    assert not weights
    images = torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(ours.train()(images), theirs.train()(images))
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


def test_a_block_with_pre_activation_by_the_formula():
    """x + W2 relu(bn(W1 a)) with a = relu(bn(x)); where the shape changes P a stands for x."""
    torch.manual_seed(0)
    module = build({"resnet10": {"stem": "cifar", "pre_activation": True, "projection_norm": False}}, COLOUR).eval()

    def active(norm, maps):
        return functional.relu(functional.batch_norm(maps, norm.running_mean, norm.running_var, norm.weight, norm.bias))

    for block, maps, stride in ((module.block1, torch.randn(2, 64, 6, 6), 1), (module.block2, torch.randn(2, 64, 6, 6), 2)):
        first = active(block.norm1, maps)
        inside = functional.conv2d(first, block.conv1.weight, stride=stride, padding=1)
        inside = functional.conv2d(active(block.norm2, inside), block.conv2.weight, padding=1)
        shortcut = maps if stride == 1 else functional.conv2d(first, block.projection.weight, stride=2)
        torch.testing.assert_close(block(maps), inside + shortcut)
    assert [type(layer).__name__ for layer in module][-5:] == ["BatchNorm2d", "ReLU", "AdaptiveAvgPool2d", "Flatten", "Linear"]


def test_resnet10_takes_small_images_with_the_other_stem():
    module = build({"resnet10": {"stem": "cifar"}}, COLOUR)
    assert size(module) == 5_418_792 - 9_536 + (3 * 9 * 64 + 128) - 990 * 513
    caught = []
    module.average.register_forward_pre_hook(lambda _, given: caught.append(given[0].shape))
    assert module(torch.zeros(2, *COLOUR)).shape == (2, 10)
    assert caught == [(2, 512, 4, 4)]
    with pytest.raises(InvalidValue, match=r"at least 32 x 32, found 28 x 28: set the data set's size or take `stem: cifar`"):
        registry.build("models", "resnet10").check((1, 28, 28), 10)


def expected_deviation(how, fan_in, fan_out):
    """Of U(-a, a) it is a / sqrt(3): Caffe's XavierFiller has a = sqrt(3 / fan_in), Glorot and Bengio's (16) sqrt(6 / (in + out))."""
    bounds = {"xavier_fan_in": (3 / fan_in) ** 0.5, "xavier_glorot": (6 / (fan_in + fan_out)) ** 0.5}
    return bounds[how] / 3**0.5 if how in bounds else (2 / fan_in) ** 0.5


@pytest.mark.parametrize("how", ["xavier_fan_in", "xavier_glorot", "msra"])
@pytest.mark.parametrize("layer", [nn.Conv2d(48, 160, 3), nn.Linear(400, 300)], ids=["convolution", "linear"])
def test_initial_weights_are_of_the_published_distribution(how, layer):
    torch.manual_seed(1)
    initialise(nn.Sequential(layer), how)
    weights = layer.weight.detach().double().numpy()
    field = weights[0, 0].size
    fan_in, fan_out = weights.shape[1] * field, weights.shape[0] * field
    deviation = expected_deviation(how, fan_in, fan_out)
    assert weights.std() == pytest.approx(deviation, rel=0.01)
    assert abs(weights.mean()) < 0.02 * deviation
    kurtosis = np.mean(weights**4) / np.mean(weights**2) ** 2
    assert kurtosis == pytest.approx(3.0 if how == "msra" else 1.8, rel=0.03)  # normal, uniform
    if how != "msra":
        assert (-weights.min(), weights.max()) == pytest.approx((deviation * 3**0.5,) * 2, rel=1e-3)
    assert not layer.bias.any()


def test_the_initialisation_called_torch_leaves_weights_alone():
    torch.manual_seed(2)
    layer = nn.Linear(5, 5)
    before = layer.weight.clone(), layer.bias.clone()
    initialise(nn.Sequential(layer), "torch")
    assert torch.equal(before[0], layer.weight)
    assert torch.equal(before[1], layer.bias)
