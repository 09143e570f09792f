"""The fixed held-out part of a set of votes: by a hash of GalaxyID, images of one galaxy kept together."""

import hashlib

import numpy as np
import pandas as pd

from galaxylib.data.splits import Split
from galaxylib.errors import SEEDS, GalaxyError
from galaxylib.votes.zoo2 import CHALLENGE_IDS, WIDE, Votes


def near_duplicates(images: np.ndarray, *, likeness: float = 0.93) -> np.ndarray:
    """Groups of images that show the same galaxy.

    The fine detail of two images, blurred to 60 pixels and freed of the galaxy's broad light, is compared by
    correlation; 1.0 is the same image. Over the sample's 818,560 pairs two reach 1.000 and no other 0.87.

    Args:
        images: (N, WIDE, WIDE, 3) uint8.
        likeness: correlation from which two images are one galaxy.

    Returns:
        (N,) group numbers; each group is named by its first row.
    """
    from scipy.ndimage import gaussian_filter

    half = WIDE // 2
    grey = images.reshape(len(images), half, 2, half, 2, 3).mean(axis=(2, 4, 5), dtype=np.float32)
    detail = np.clip(grey - gaussian_filter(grey, (0, 4, 4)), -30, 30).reshape(len(images), -1)
    detail -= detail.mean(axis=1, keepdims=True)
    detail /= np.maximum(np.linalg.norm(detail, axis=1, keepdims=True), 1e-6)
    groups = np.arange(len(images))
    step = 512  # rows at a time: the whole matrix of a large set would not fit in memory
    for start in range(0, len(images), step):
        alike = np.argwhere(detail[start : start + step] @ detail[start:].T > likeness) + start
        for first, second in alike[alike[:, 0] < alike[:, 1]]:
            groups[groups == groups[second]] = groups[first]
    return groups


def held_out(ids: np.ndarray, groups: np.ndarray, *, share: float = 0.2) -> np.ndarray:
    """The fixed held-out part: by a hash of GalaxyID, the same share of each of the two sources.

    Near-duplicates go together, by the smallest id of their group. Nothing is drawn: the same table has
    the same part on every machine.

    Args:
        ids: (N,) GalaxyID of each galaxy.
        groups: (N,) group of each, from `near_duplicates`.
        share: share of the groups that is held out.

    Returns:
        (N,) bool.

    Raises:
        GalaxyError: `share` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise GalaxyError(f"The held-out share is {share}: choose one between 0 and 1.")
    # Sorted by a hash, the first fifth of a source is as good as random, and stays what it is.
    leaders = pd.Series(ids).groupby(np.asarray(groups)).transform("min").to_numpy()
    hashes = np.array([hashlib.sha256(str(leader).encode()).hexdigest() for leader in leaders])
    chosen = np.zeros(len(ids), bool)
    of_challenge = leaders < CHALLENGE_IDS
    for source in (of_challenge, ~of_challenge):
        rows = np.flatnonzero(source)
        order = rows[np.argsort(hashes[rows], kind="stable")]
        quota = round(share * len(rows))
        if 0 < quota < len(rows):
            chosen[order[:quota]] = True
            # A group that the border would cut goes in whole.
            chosen |= source & np.isin(hashes, hashes[order[:quota]])
    return chosen


def split_votes(votes: Votes, *, watch: bool, seed: int = 0) -> Split:
    """The fixed held-out fifth as the test part, and the others for training.

    Args:
        votes: the galaxies.
        watch: whether an eighth of the others validates; else all of them train.
        seed: of the draw of that eighth. Images of one galaxy stay together in it too.

    Raises:
        GalaxyError: the galaxies are too few to hold a fifth of them out.
    """
    SEEDS.check("seed", seed)
    groups = near_duplicates(votes.images)
    held = held_out(votes.ids, groups)
    if not 0 < held.sum() < len(held):
        raise GalaxyError(f"{len(votes)} galaxies are too few to hold a fifth of them out: give at least 20.")
    others = np.flatnonzero(~held)
    watching = np.zeros(len(others), bool)
    if watch:
        leaders, sizes = np.unique(groups[others], return_counts=True)
        order = np.random.default_rng(seed).permutation(len(leaders))
        before = np.cumsum(sizes[order]) - sizes[order]  # images in the groups that were drawn earlier
        watching = np.isin(groups[others], leaders[order[before < max(1, len(others) // 8)]])
    return Split(
        train=others[~watching],
        validation=others[watching],
        test=np.flatnonzero(held),
        method="held_out",
        seed=seed,
        fingerprint=votes.fingerprint,
    )
