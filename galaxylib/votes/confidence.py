"""The temperature of a network of the ten classes, measured on real galaxies of other surveys.

Simulated galaxies make a network surer than it should be of real ones. No label of Galaxy10 is needed to mend
that: volunteers' votes on other images do, or the agreement of several networks on images without labels.
"""

from collections.abc import Sequence

import numpy as np

from galaxylib.errors import DataError
from galaxylib.evaluation.calibration import fit_temperature, temperature_from_agreement
from galaxylib.networks.checkpoint import Loaded
from galaxylib.votes.classes import to_classes
from galaxylib.votes.held_out import clear_votes, held_out_part, judged
from galaxylib.votes.other_surveys import Survey


def temperature_by_votes(loaded: Loaded, voted: Survey, *, batch_size: int = 32) -> tuple[float, str]:
    """The temperature that fits the held-out galaxies whose votes are clear.

    Galaxy10 holds galaxies with clear votes, so that its labels are of this kind.

    Args:
        loaded: the network; its own temperature counts for nothing.
        voted: galaxies with votes, as `read_voted` gives them.
        batch_size: images at once.

    Returns:
        T, and in a few words how it was measured.

    Raises:
        DataError: no galaxy with clear votes is held out, or the network knows other classes.
    """
    held = held_out_part(voted)
    if held.fractions is None or not clear_votes(held.fractions).any():
        raise DataError("No held-out galaxy has clear votes: give a folder with more galaxies.")
    held = held.rows(clear_votes(held.fractions))
    assert held.fractions is not None
    found = judged(loaded, held, batch_size=batch_size)
    return fit_temperature(found, to_classes(held.fractions)), f"clear votes on {len(held)} held-out galaxies"


def temperature_by_agreement(
    loaded: Loaded, beside: Sequence[Loaded], unlabelled: Survey, *, batch_size: int = 32
) -> tuple[float, str]:
    """The temperature at which networks are as sure of real galaxies as they agree on them.

    The source and the assumption stand in `galaxylib.evaluation.calibration.temperature_from_agreement`.
    It is a rough measure: networks that share a simulator also share its errors, which makes the temperature
    too low, and images that are harder than most make it too high.

    Args:
        loaded: the network.
        beside: one or more others of the ten classes, trained from other first weights.
        unlabelled: galaxies of which nothing need be known.
        batch_size: images at once.

    Returns:
        T, and in a few words how it was measured.

    Raises:
        DataError: a network knows other classes.
    """
    found: list[np.ndarray] = [judged(one, unlabelled, batch_size=batch_size) for one in (loaded, *beside)]
    return (
        temperature_from_agreement(found),
        f"agreement with {len(beside)} other network{'s' * (len(beside) > 1)} on {len(unlabelled)} real "
        "galaxies without labels",
    )
