"""Ways to look into a network: dream, MACO, accentuation, caricature, inversion, dreams kept apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import images as pictures
from galaxylib.dream.dreaming import Dream, dream, dream_batch
from galaxylib.dream.forward import Tap
from galaxylib.dream.objectives import Objective, caricature, check_layers, diversity, near
from galaxylib.dream.settings import PAPER_DREAM, Settings
from galaxylib.networks.checkpoint import Loaded
from galaxylib.paper.progress import steps

STAY = 2.0
"""Weight of staying near, beside a logit: how far both may go is a matter of taste."""
APART = 3.0
"""Weight of diversity beside a logit: less is hardly seen, and with more the logit stays low."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to look into a network.

    Attributes:
        name: as figures and tables have it.
        objective: what grows.
        settings: how.
        masked: whether only what the objective listened to is shown.
    """

    name: str
    objective: Objective
    settings: Settings
    masked: bool = False


def ways(
    goal: Objective, *, size: int, kept: str, exaggerated: str, inverted: Sequence[str], turns: float = 1.0
) -> list[Way]:
    """The ways of the chapter.

    Args:
        goal: what the dream, MACO and the accentuation climb.
        size: pixels a side of all images.
        kept: stage near whose activation the accentuation stays.
        exaggerated: stage of the caricature.
        inverted: stages to invert.
        turns: factor on the numbers of steps.
    """

    def settings(count: int, **more: object) -> Settings:
        return PAPER_DREAM.but(sizes=(size,), steps=(max(1, round(turns * count)),), **more)

    plain = settings(20, rates=(PAPER_DREAM.rates[0],), jitter=(PAPER_DREAM.jitter[0],))
    fourier = {"start": "galaxies", "parametrisation": "fourier", "levels": 1}
    maco = settings(40, rates=(0.3,), jitter=(PAPER_DREAM.jitter[0],), magnitude="galaxies", **fourier)
    from_noise = settings(50, rates=(0.1,), jitter=(2,), sharpen=0.0, **fourier)
    return [
        Way(name="dream", objective=goal, settings=plain),
        Way(name="MACO, masked", objective=goal, settings=maco, masked=True),
        Way(name="accentuation", objective=goal + STAY * near(kept), settings=plain),
        Way(name=f"caricature of {exaggerated}", objective=caricature(exaggerated), settings=plain),
        *(
            Way(name=f"inversion of {stage}", objective=near(stage), settings=from_noise)
            for stage in inverted
        ),
    ]


def looked(
    networks: Mapping[str, nn.Module],
    image: Tensor,
    chosen: Sequence[Way],
    *,
    preprocess: Preprocess,
    seed: int,
) -> dict[str, list[Dream]]:
    """The image (3, H, W) in each way by each network, by the network's name."""
    made: dict[str, list[Dream]] = {name: [] for name in networks}
    wanted = [(name, way) for name in networks for way in chosen]
    for name, way in steps(wanted, label=lambda one: f"{one[1].name} by the {one[0]} network"):
        made[name].append(
            dream(
                networks[name], image, way.objective, settings=way.settings, preprocess=preprocess, seed=seed
            )
        )
    return made


def on_white(made: Dream, way: Way) -> np.ndarray:
    """(H, W, 3) in [0, 1]; on white, if only what the objective listened to is shown."""
    image = made.image.permute(1, 2, 0).numpy()
    alpha = made.alpha[..., None].numpy() if way.masked else 1.0
    return image * alpha + (1 - alpha)


def compared(
    made: Mapping[str, Sequence[Dream]],
    networks: Mapping[str, nn.Module],
    chosen: Sequence[Way],
    *,
    goal: Objective,
    kept: str,
    preprocess: Preprocess,
) -> pd.DataFrame:
    """What became of the goal, the activation and the picture.

    Returns:
        a row for each network and way: `network`, `way`; `goal_before` and `goal`, at the given image and at
        the dream; `moved`, the distance of the stage `kept`'s activation from that of the given image, in
        units of its length; `likeness`, the correlation of the two images' pixels, the colours averaged.
    """
    rows = []
    for name, dreams in made.items():
        tap = Tap(networks[name], tuple(dict.fromkeys((*goal.layers, kept))))
        for way, one in zip(chosen, dreams, strict=True):
            given = pictures.fit(one.given[None], *one.image.shape[1:])
            with torch.no_grad():
                before, after = (tap(preprocess.normalise(image)) for image in (given, one.image[None]))
            grey = [image.mean(1).flatten().numpy() for image in (given, one.image[None])]
            away = -near(kept).value(after, before)
            rows.append(
                {
                    "network": name,
                    "way": way.name,
                    "goal_before": float(goal.value(before)),
                    "goal": float(goal.value(after)),
                    "moved": float(away.clamp_min(0).sqrt()),
                    "likeness": float(np.corrcoef(grey)[0, 1]),
                }
            )
    return pd.DataFrame(rows)


@dataclass(frozen=True, kw_only=True)
class Several:
    """Dreams of one objective that began with noises of their own.

    Attributes:
        dreams: in their order.
        alike: mean cosine between the Gram matrices of each two of them, 1 where all are alike.
        goal: mean of the objective, without the term that keeps them apart.
    """

    dreams: list[Dream]
    alike: float
    goal: float


def several(
    loaded: Loaded, goal: Objective, *, stage: str, weight: float, size: int, turns: float = 1.0, seed: int
) -> Several:
    """Four dreams at once that are kept apart in a stage, or not; by the seed all begin with the same noises.

    Args:
        loaded: the network.
        goal: what each climbs.
        stage: whose Gram matrices tell how alike they are.
        weight: of `diversity` beside the goal; 0 leaves each to itself.
        size: pixels a side.
        turns: factor on the number of steps.
        seed: of noise and shifts.
    """
    settings = PAPER_DREAM.but(
        sizes=(size,),
        steps=(max(1, round(20 * turns)),),
        rates=(0.15,),
        jitter=(PAPER_DREAM.jitter[0],),
        levels=1,
        start="galaxies",
        parametrisation="fourier",
    )
    apart = diversity(stage)
    made = dream_batch(
        loaded.network,
        torch.zeros(1, 3, size, size),
        [goal + weight * apart] * 4,
        settings=settings,
        preprocess=loaded.preprocess,
        seed=seed,
    )
    tap = Tap(loaded.network, check_layers(loaded.network, [goal + apart]))
    with torch.no_grad():
        seen = tap(loaded.preprocess.normalise(torch.stack([one.image for one in made])))
    return Several(dreams=made, alike=-float(apart.value(seen).mean()), goal=float(goal.value(seen).mean()))
