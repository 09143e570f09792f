"""Every network of the registry against its source's printed counts, and through one training step."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from galaxylib.errors import GalaxyError
from galaxylib.networks import baselines, registry
from galaxylib.networks.registry import NETWORKS, build

# classes, then the whole count: printed, or counted by hand from the printed layers (design of each source).
COUNTS = [
    ("dmagnet", 10, 23_820_811),
    ("convnet", 10, 654_922),
    ("negm", 2, 1_420_738),
    ("negm", 10, 1_420_738 - 258 + 1_290),
    ("shi", 2, (27 + 1) * 32 + (288 + 1) * 64 + (576 + 1) * 128 + 2049 * 2),
    ("kim_brunner", 2, 11_229_154),
    ("kim_brunner", 10, 11_245_546),
    ("five_block", 10, 1_575_690),
    ("resnet18", 1000, 11_689_512),
    ("alexnet", 1000, 61_100_840),
    ("gz_cnn", 37, (147 + 1) * 8 + (200 + 1) * 16 + (144 + 1) * 32 + 2593 * 256 + 257 * 37),
    ("gz_resnet18", 37, 11_689_512 - 513_000 + 513 * 37),
]

# Seed 002's tables I and II row by row; seed 003's from its text: (output shape, parameters).
PRINTED_LAYERS = {
    "convnet": [
        ((32, 62, 62), 2_432),
        ((32, 31, 31), 0),
        ((64, 29, 29), 18_496),
        ((64, 14, 14), 0),
        ((128, 12, 12), 73_856),
        ((128, 6, 6), 0),
        ((256, 4, 4), 295_168),
        ((256, 2, 2), 0),
        ((1024,), 0),
        ((1024,), 0),
        ((256,), 262_400),
        ((256,), 0),
        ((10,), 2_570),
    ],
    "negm": [
        ((32, 69, 69), 896),
        ((32, 35, 35), 0),
        ((32, 35, 35), 0),
        ((64, 35, 35), 18_496),
        ((64, 18, 18), 0),
        ((64, 18, 18), 0),
        ((128, 18, 18), 73_856),
        ((128, 9, 9), 0),
        ((128, 9, 9), 0),
        ((10_368,), 0),
        ((128,), 1_327_232),
        ((128,), 0),
        ((2,), 258),
    ],
    "five_block": [
        ((32, 64, 64), 0),
        ((64, 32, 32), 0),
        ((128, 16, 16), 0),
        ((256, 8, 8), 0),
        ((512, 4, 4), 0),
    ],
    "gz_cnn": [
        ((8, 76, 76), 1_184),
        ((8, 38, 38), 0),
        ((16, 36, 36), 3_216),
        ((16, 18, 18), 0),
        ((32, 18, 18), 4_640),
        ((32, 9, 9), 0),
        ((2_592,), 0),
        ((256,), 663_808),
        ((256,), 0),
        ((37,), 9_509),
    ],
    "kim_brunner": [
        ((32, 40, 40), 2_432),
        ((32, 40, 40), 9_248),
        ((32, 20, 20), 0),
        ((64, 20, 20), 18_496),
        ((64, 20, 20), 36_928),
        ((64, 20, 20), 36_928),
        ((64, 10, 10), 0),
        ((128, 10, 10), 73_856),
        ((128, 10, 10), 147_584),
        ((128, 10, 10), 147_584),
        ((128, 5, 5), 0),
        ((3_200,), 0),
        ((2_048,), 6_555_648),
        ((2_048,), 0),
        ((2_048,), 4_196_352),
        ((2_048,), 0),
        ((2,), 4_098),
    ],
}


def small(name, *, classes=10):
    """A network and an image size at which a test of its behaviour is quick."""
    torch.manual_seed(0)
    entry = NETWORKS[name]
    size = {"dmagnet": 64, "five_block": 64, "resnet18": 64, "alexnet": 64, "gz_resnet18": 64}.get(
        name, entry.size
    )
    options = {"width": 0.125} if name == "dmagnet" else {}
    return build(name, classes=classes, **options), size


@pytest.mark.parametrize(("name", "classes", "count"), COUNTS)
def test_the_count_is_the_printed_one(name, classes, count):
    with torch.device("meta"):  # no memory, and no random weights
        network = build(name, classes=classes)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize("name", PRINTED_LAYERS)
def test_every_layer_is_the_printed_one(name):
    entry = NETWORKS[name]
    rows = baselines.layers(build(name, classes=entry.classes), entry.size)
    kinds = {"MaxPool2d"} if name == "five_block" else {row.kind for row in rows} - {"ReLU"}
    assert [(row.shape, row.parameters) for row in rows if row.kind in kinds] == PRINTED_LAYERS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_behaviour(name, tmp_path):
    network, size = small(name)
    images = torch.randn(5, 3, size, size)
    labels = torch.arange(5)

    # Odd batches, one image included, and evaluation that does not depend on the batch.
    network.eval()
    with torch.inference_mode():
        whole = network(images)
        one_by_one = torch.cat([network(image[None]) for image in images])
    assert whole.shape == (5, 10)
    torch.testing.assert_close(whole, one_by_one, rtol=1e-3, atol=1e-4)

    # Half precision: close to the whole one, relative to the spread of the logits.
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        half = network(images).float()
    assert (half - whole).abs().max() < 0.1 * whole.abs().max() + 0.02

    # Weights round-trip through a file into another network, bit by bit.
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(1)
    other = build(name, **({"width": 0.125} if name == "dmagnet" else {})).eval()
    with torch.inference_mode():
        assert not torch.equal(other(images), whole)
        other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
        assert torch.equal(other(images), whole)

    # Training steps lower the loss on the images that they were taken on.
    network.train()
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0  # dropout's noise would hide what a few steps gain
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    losses = []
    for _ in range(4):
        loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_entry_agrees_with_its_network(name):
    entry = NETWORKS[name]
    with torch.device("meta"):
        network = build(name)
    assert all(network.get_submodule(stage) is not None for stage in entry.stages)
    assert entry.size <= entry.crop <= 256
    assert entry.source


def test_flops_are_those_counted_by_hand():
    convolution = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 16, 5))
    by_hand = 2 * (4 * 4 * 8 * 27 + 8 * 16 * 5)
    assert baselines.flops(convolution, 4) == by_hand


def test_looking_leaves_the_mode_alone():
    network = build("convnet").train()
    baselines.layers(network, 128)
    baselines.flops(network, 128)
    assert network.training
    assert not any(layer._forward_hooks for layer in network.modules())


def test_convnet_experiments_have_other_depths():
    for blocks, side in ((1, 31), (2, 14), (3, 6), (4, 2), (5, 1)):
        rows = baselines.layers(build("convnet", blocks=blocks), 128)
        last = [row for row in rows if row.kind == "MaxPool2d"][-1]
        assert last.shape == (16 * 2**blocks, side, side)
    with pytest.raises(GalaxyError, match="from 1 to 5"):
        build("convnet", blocks=6)


def test_five_block_without_early_pooling_keeps_its_count():
    network = build("five_block", unpooled=2)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_575_690
    shapes = [row.shape for row in baselines.layers(network, 128) if row.kind == "BatchNorm2d"]
    assert shapes[-1] == (512, 32, 32)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("dmagent", "dmagnet"),
        ("resnet-18", "resnet18"),
        ("no_such_thing_at_all", "there are dmagnet, convnet"),
        ("no.such.module:Net", "cannot be imported"),
        ("torch.nn:NoSuch", "cannot be imported"),
        ("os:system", "no torch.nn.Module"),
    ],
)
def test_an_unknown_name_is_answered_in_a_sentence(name, sentence):
    with pytest.raises(GalaxyError, match=sentence):
        build(name)


def test_an_unknown_option_is_answered_in_a_sentence():
    with pytest.raises(GalaxyError, match=r"'negm' cannot be built with .*depth"):
        build("negm", depth=3)


class OwnNetwork(nn.Module):
    """A reader's own network, entered by its import path."""

    def __init__(self, *, classes: int, hidden: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(hidden), nn.Flatten(), nn.Linear(48, classes))

    def forward(self, x):
        return self.layers(x)


def test_a_readers_own_network_and_timms_are_entered_by_name():
    own = build(f"{__name__}:OwnNetwork", classes=7)
    assert own(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    theirs = build("mobilenetv3_small_050", classes=10)
    assert theirs.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 10)
    assert registry.entry("mobilenetv3_small_050").source == "timm, mobilenetv3_small_050"


@pytest.mark.slow
def test_weights_of_a_file_are_used_but_for_the_last_layer(tmp_path):
    torch.manual_seed(0)
    donor = build("resnet18", classes=1000)
    torch.save(donor.state_dict(), tmp_path / "donor.pt")
    network = build("resnet18", classes=10, weights=tmp_path / "donor.pt")
    assert torch.equal(network.layer4[1].conv2.weight, donor.layer4[1].conv2.weight)
    assert network.fc.weight.shape == (10, 512)
    with pytest.raises(GalaxyError, match="is not of AlexNet"):
        build("alexnet", weights=tmp_path / "donor.pt")
    (tmp_path / "text.pt").write_text("not weights")
    with pytest.raises(GalaxyError, match="no weights that torch can read"):
        build("resnet18", weights=tmp_path / "text.pt")
