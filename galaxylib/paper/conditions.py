"""Under which conditions a network was trained, and whether a claim is about such a training.

A chapter reports its `conditions`; the claims file names those that a claim is about. A run that was trained
otherwise neither confirms nor refutes the claim.
"""

from collections.abc import Mapping
from typing import Any

WORDS = {
    "width": "width {:g}",
    "size": "{:,} px",
    "sizes": "{:,} px",
    "trial_sizes": "{:,} px",
    "largest": "dreams up to {:,} px",
    "parameters": "{:,} parameters",
    "epochs": "{:,} epochs",
    "trial_epochs": "{:,} epochs",
    "turned_epochs": "{:g} epochs over four turned copies of each image",
    "trial_turned_epochs": "{:g} epochs over four turned copies of each image",
    "stage_epochs": "{:,} epochs a stage at most",
    "cnn_batch": "batches of {:,}",
    "cnn_epochs": "{:,} epochs of the CNN",
    "resnet_epochs": "{:,} epochs of ResNet-18",
    "tailored_epochs": "{:,} epochs of the tailored ResNet-18",
    "train_images": "{:,} training images",
    "trial_images": "{:,} training images",
    "n_galaxies": "{:,} galaxies",
    "parts_width": "width {:g}",
    "parts_epochs": "{:,} epochs",
    "parts_seeds": "{:,} trainings of each",
    "seeds": "{:,} trainings of each",
    "trial_seeds": "{:,} trainings of each",
}
"""How each condition is told; of a path such as `sizes/convnet` the first step counts."""

TURNED = 4
"""Turned copies of each image in an epoch of the ConvNet paper (seed 002, section IV.B); here it is one."""
EPOCHS_APART = 0.1
"""Share by which the epochs may differ and still be the claim's."""
IMAGES_APART = 0.2
"""The same of the training images: the shares of a split are a reader's choice, its size is not."""


def conditions_of(
    recipe: Mapping[str, Any], *, train_images: int, simulated: bool, seeds: int = 1
) -> dict[str, Any]:
    """The conditions of a training as a chapter reports them.

    Args:
        recipe: its settings, from `Recipe.to_dict` or a checkpoint's description.
        train_images: images that it learned from.
        simulated: whether they were drawn.
        seeds: trainings.
    """
    return {
        "network": recipe["network"],
        "width": recipe["width"],
        "size": recipe["size"],
        "crop": recipe["crop"],
        "epochs": recipe["epochs"] + recipe["more_epochs"],
        "train_images": train_images,
        "seeds": seeds,
        "simulated": simulated,
    }


def conditions_of_checkpoint(meta: Mapping[str, Any], *, fingerprint: str, trained_on: int) -> dict[str, Any]:
    """The conditions of a checkpoint's training, as far as its description tells them.

    Args:
        meta: the description.
        fingerprint: of the file that the page works on.
        trained_on: images of its training part, which the network learned from if that was its file.
    """
    learned_from = meta.get("data")
    if not learned_from or "recipe" not in meta:
        return {}
    own = learned_from["fingerprint"] == fingerprint
    return conditions_of(
        meta["recipe"],
        train_images=trained_on if own else learned_from["galaxies"],
        simulated=learned_from["simulated"],
    )


def condition(content: Mapping[str, Any], key: str) -> Any:
    """What a chapter's results say of a condition, in their `conditions` or beside them; None if nothing."""
    for found in (content.get("conditions") or {}, content):
        for step in key.split("/"):
            found = found.get(step) if isinstance(found, Mapping) else None
        if found is not None:
            return found
    return None


def unmet(asked: Mapping[str, Any], content: Mapping[str, Any]) -> list[str]:
    """The conditions of a claim that a chapter's results do not meet, or do not tell."""
    return [
        key
        for key, value in asked.items()
        if value is not None and not _alike(key, value, condition(content, key))
    ]


def _alike(key: str, asked: Any, had: Any) -> bool:
    if had is None or isinstance(asked, bool):
        return had is asked
    share = EPOCHS_APART if key.endswith("epochs") else IMAGES_APART if key.endswith("images") else 0.0
    return abs(had - asked) <= share * asked


def asked_in_words(asked: Mapping[str, Any]) -> str:
    """The conditions that a claim is about, such as "width 1, 256 px, 180 epochs"."""
    return ", ".join(_told(key, value) for key, value in asked.items() if value is not None)


def had_in_words(asked: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """The same conditions as a chapter's results tell them; one of which they say nothing is left out."""
    had = {key: condition(content, key) for key in asked}
    return ", ".join(_told(key, value) for key, value in had.items() if value is not None)


def _told(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "simulated galaxies" if value else "real galaxies"
    words = WORDS[key.split("/")[0]].format(value)
    return words.replace("epochs", "epoch").replace("trainings", "training") if value == 1 else words
