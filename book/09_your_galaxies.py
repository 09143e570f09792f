# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own galaxies
#
# A folder of pictures goes in, a catalogue comes out: for each galaxy ten probabilities, a class, a measure of
# doubt and one of strangeness. The galaxies here are simulated unless you give a folder; the network that judges them
# comes with the book.

# %% tags=["parameters"]
images: str = ""  # a folder of galaxies of your own (JPEG, PNG, FITS, ...); "" draws some
pixscale: float = 0.0  # arcsec a pixel of images that do not tell their own; 0 takes 0.262 for granted
checkpoint: str = "real"  # the network that judges: "real", "real-small" or a checkpoint folder
profile: str = "default"  # name of the profile that set these parameters: smoke, default, reference or paper
seed: int = 0  # of the drawn galaxies and of the dreams
outputs: str = "_build/results/default"  # folder for results
galaxies: int = 10  # galaxies to draw where no folder is given
size: int = 192  # pixels a side of the two dreams

# %% tags=["hide-input"]
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt

from galaxylib import classify
from galaxylib.catalogue.frame import Frame
from galaxylib.catalogue.page import shown
from galaxylib.catalogue.run import Settings
from galaxylib.catalogue.writing import column_of
from galaxylib.data.galaxy10 import CLASS_NAMES, PIXEL_SCALE
from galaxylib.dream import PAPER_DREAM, dream_batch, logit
from galaxylib.dream.measures import probabilities, references
from galaxylib.evaluation.unlike import LIMIT
from galaxylib.networks.checkpoint import load
from galaxylib.paper.figures import ACCENT, image_grid, style
from galaxylib.paper.own_galaxies import most_doubtful, shown_catalogue, write_examples
from galaxylib.paper.parameters import as_declared
from galaxylib.paper.report import Report

# %% tags=["hide-input"]
style()
globals().update(as_declared(globals()))
report = Report(outputs, "09_your_galaxies")
held = {}
folder = images
if not images:
    folder = Path(outputs) / "own_galaxies"
    held = write_examples(folder, count=galaxies, seed=seed)
kind = "your" if images else "simulated"
report.number("kind", kind)
report.number("checkpoint", checkpoint)
report.number("scale", PIXEL_SCALE)
report.number("limit", LIMIT)

# %% [markdown]
# ## From pictures to classes
#
# `classify` takes pictures, folders of them, FITS cutouts, files of the Galaxy10 layout, Parquet files with images,
# and tables of paths, in any mixture. FITS cutouts in $g$, $r$ and $z$ become colours by the same stretch as the
# survey's own pictures, and an image of another scale is resampled to {glue:text}`scale` arcsec a pixel. The column
# `flags` tells what was done to each image.

# %%
frame = Frame(pixscale=pixscale or None)
catalogue_file = Path(outputs) / "own_galaxies.parquet"
# The same on every machine; bfloat16, where there is one, would be faster.
settings = Settings(frame=frame, precision="float32")
summary = classify(folder, out=catalogue_file, checkpoint=checkpoint, settings=settings)
catalogue = pd.read_parquet(catalogue_file)

# %% tags=["remove-output", "hide-input"]
readable = catalogue["class"] != ""
report.number("n_images", len(catalogue))
report.number("n_unreadable", int((~readable).sum()))
report.number("n_unlike", int((catalogue["unlike_training"] > 1).sum()))
hits = [
    held[Path(path).name] == name
    for path, name in zip(catalogue["path"], catalogue["class"], strict=True)
    if held.get(Path(path).name) in CLASS_NAMES
]
report.number("n_drawn", len(hits))
report.number("n_right", int(sum(hits)))
report.data("catalogue", catalogue.drop(columns=["path"]).replace({np.nan: None}).to_dict(orient="records"))
report.table("classes", shown_catalogue(catalogue, held))

# %% [markdown]
# ```{glue:figure} classes
# :name: tab-09-classes
#
# The catalogue of {glue:text}`n_images:d` images ({glue:text}`kind`), in words: the class and its rival with their
# probabilities, how unlike the training images an image is ({glue:text}`limit:d` % of images like them stay below
# one), and what was done to it. The whole catalogue has a column for each class, the margin between the two, and
# positions where a file tells them.
# ```
#
# An unreadable file ({glue:text}`n_unreadable:d` here) becomes a row like the others, with the reason, and stops
# nothing. Where an image is unlike what the network was trained on ({glue:text}`n_unlike:d` here), the network's
# answer means little. Of the {glue:text}`n_drawn:d` drawn galaxies whose class is known here, it names
# {glue:text}`n_right:d` correctly; so few do not tell how good it is, but the [data chapter](01_data.ipynb) does.

# %% tags=["remove-output", "hide-input"]
pictures = {
    row: shown(line, frame=frame) for row, line in enumerate(catalogue.to_dict("records")) if line["class"]
}
titles = [f"{Path(catalogue['path'][row]).name}\n{catalogue['class'][row]}" for row in pictures]
report.figure("pictures", image_grid(list(pictures.values()), titles=titles, columns=5))

# %% [markdown]
# ```{glue:figure} pictures
# :alt: The readable images side by side, each titled with its file's name and the class that the network gives.
# :name: fig-09-pictures
#
# The images ({glue:text}`kind`) as the network sees them, with the class that it names.
# ```
#
# ## Where it doubts
#
# The margin, the first probability minus the second, is small where two classes compete. Look at those images
# first: `galaxylib classify ... --page FOLDER` lays them out class by class, the surest and the most doubtful.

# %% tags=["remove-output", "hide-input"]
doubtful, first, rival = most_doubtful(catalogue, held)
shares = catalogue.loc[doubtful, [column_of(name) for name in CLASS_NAMES]].astype(float).to_numpy()
report.number("doubtful", Path(catalogue["path"][doubtful]).name)
report.number("first", first)
report.number("rival", rival)
report.number("first_share", float(shares.max()))
report.number("rival_share", float(np.sort(shares)[-2]))
figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.0), width_ratios=(1, 1.6))
left.imshow(pictures[doubtful])
left.axis("off")
right.barh(CLASS_NAMES, shares, color=ACCENT)
right.invert_yaxis()
right.set(xlabel="probability", xlim=(0, 1))
report.figure("doubt", figure)

# %% [markdown]
# ```{glue:figure} doubt
# :alt: On the left the image with the smallest margin. On the right a bar for each of the ten classes, as long as its probability; two bars compete.
# :name: fig-09-doubt
#
# The most doubtful image, {glue:text}`doubtful`: {glue:text}`first` with {glue:text}`first_share:.0%`,
# {glue:text}`rival` with {glue:text}`rival_share:.0%`.
# ```
#
# ## What would settle it
#
# What does the network miss in this image? Dream it towards either class: the ascent changes the image until the
# class's logit rises, and what it adds is what the network looks for.

# %%
loaded = load(checkpoint)
image = torch.from_numpy(pictures[doubtful]).permute(2, 0, 1).float() / 255
climb = PAPER_DREAM.to(size)
wanted = [CLASS_NAMES.index(first), CLASS_NAMES.index(rival)]
dreams = dream_batch(
    loaded.network,
    image[None],
    [logit(label) for label in wanted],
    settings=climb,
    preprocess=loaded.preprocess,
    seed=seed,
)

# %% tags=["remove-output", "hide-input"]
seeing = {"preprocess": loaded.preprocess, "temperature": loaded.temperature}
still = references(loaded.network, image[None], settings=climb, preprocess=loaded.preprocess)
before = probabilities(loaded.network, still, **seeing)[0]
after = probabilities(loaded.network, torch.stack([made.image for made in dreams]), **seeing)
for name, label, found in zip(("first", "rival"), wanted, after, strict=True):
    report.number(f"{name}_before", float(before[label]))
    report.number(f"{name}_after", float(found[label]))
report.figure(
    "dreams",
    image_grid(
        [pictures[doubtful], *(made.pixels for made in dreams)],
        titles=["as it is", f"towards {first}", f"towards {rival}"],
        columns=3,
    ),
)

# %% [markdown]
# ```{glue:figure} dreams
# :alt: Three images: the doubtful galaxy as it is, its dream towards the class that the network names, and its dream towards the rival.
# :name: fig-09-dreams
#
# The doubtful image dreamed towards {glue:text}`first`, whose probability goes from {glue:text}`first_before:.0%`
# to {glue:text}`first_after:.0%`, and towards {glue:text}`rival`, from {glue:text}`rival_before:.0%` to
# {glue:text}`rival_after:.0%`, both against the same image taken through the same protocol without a step.
# ```
#
# ## The same in three commands
#
# ```bash
# galaxylib classify my_galaxies/ --out classes.parquet --page look
# galaxylib classify survey.parquet more/*.fits --pixscale 0.396 --out classes.csv
# galaxylib dream --image my_galaxies/one.jpg --layer "logit:Barred Spiral" \
#     --checkpoint real --out dream.png
# ```
#
# The second shows that you can mix inputs, and that the ending of its name decides a catalogue's format. A run that
# was stopped goes on where it was. With no Python at hand, the [dream lab](dream_lab.md) opens a picture of your own,
# names its class, and dreams it.

# %% tags=["hide-input"]
report.save()
