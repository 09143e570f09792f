"""The paper's recipe is the printed one, and no wrong value gets through."""

from dataclasses import FrozenInstanceError, fields

import pytest

from galaxylib.errors import GalaxyError
from galaxylib.training.recipes import PAPER_RECIPE, QUICK, RECIPES, Recipe


def test_the_papers_values():
    """Batch 64, AdamW, one cycle to 5e-4, 140 + 40 epochs, label smoothing 0.1, gradient norm 1."""
    printed = {
        "network": "dmagnet",
        "width": 1.0,
        "size": 256,
        "crop": 256,
        "epochs": 140,
        "more_epochs": 40,
        "batch_size": 64,
        "learning_rate": 5e-4,
        "warm_up": 0.3,
        "weight_decay": 1e-2,
        "label_smoothing": 0.1,
        "gradient_norm": 1.0,
        "dropout": 0.3,
        "rotate": 180.0,
        "flip": 0.5,
        "brightness": 0.1,
        "contrast": 0.1,
        "patience": 0,
    }
    assert {name: value for name, value in PAPER_RECIPE.to_dict().items() if name in printed} == printed
    assert RECIPES["paper"] is PAPER_RECIPE
    assert RECIPES["quick"] is QUICK
    assert {"pretrained", "small", "zoo2"} < set(RECIPES), "each shipped network has its recipe"


def test_recipes_are_frozen_and_changed_by_name():
    with pytest.raises(FrozenInstanceError):
        PAPER_RECIPE.epochs = 3
    assert PAPER_RECIPE.but(epochs=3).epochs == 3
    assert PAPER_RECIPE.epochs == 140
    with pytest.raises(GalaxyError, match="no setting 'epoch'"):
        PAPER_RECIPE.but(epoch=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 3.5),
        ("epochs", "3"),
        ("epochs", True),
        ("learning_rate", -1),
        ("learning_rate", float("nan")),
        ("label_smoothing", 2),
        ("precision", "float8"),
        ("cycle_momentum", 1),
        ("crop", 300),
        ("seed", -1),
        ("seed", 10**21),
        ("warm_up", 1),
        ("learning_rate", float("inf")),
        ("optimizer", "sgd"),
        ("schedule", "linear"),
        ("options", "blocks=5"),
        ("growth", "128"),
        ("growth", "16x2"),
        ("growth", "512x2"),
        ("growth", "128x140"),
    ],
)
def test_wrong_values_are_named(name, value):
    with pytest.raises(GalaxyError, match=f"recipe's {name}"):
        Recipe(**{name: value})


def test_parts_must_divide_the_batch():
    with pytest.raises(GalaxyError, match="divides `batch_size`"):
        Recipe(batch_size=64, accumulate=3)


def test_every_setting_says_what_it_means():
    for setting in fields(Recipe):
        assert setting.metadata["help"], setting.name


def test_a_growing_image_keeps_its_scale_and_ends_at_its_full_size():
    """The plan of the shipped networks: the early, cheap epochs see the middle of the same image."""
    recipe = Recipe(size=128, crop=256, growth="64x2, 96x1", epochs=5, more_epochs=2)
    assert recipe.stages() == [(64, 2), (96, 1), (128, 2)]
    seen = [recipe.view(epoch) for epoch in range(7)]
    assert seen == [(64, 128)] * 2 + [(96, 192)] + [(128, 256)] * 4
    assert {crop / size for size, crop in seen} == {2.0}
    assert Recipe(epochs=3).stages() == [(256, 3)]


def test_what_looks_at_validation_needs_it():
    assert PAPER_RECIPE.needs_validation
    assert not PAPER_RECIPE.but(keep="last").needs_validation
    assert PAPER_RECIPE.but(keep="last", schedule="plateau").needs_validation
    assert PAPER_RECIPE.but(keep="last", patience=3).needs_validation
