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
# # Training
#
# A network learns to name galaxies from their pictures, by the paper's recipe or a quicker one. The galaxies are
# simulated unless you give a file; the next chapter examines what the network has learned.

# %% tags=["parameters"]
data: str = "simulated"  # "simulated", or the path of a Galaxy10 HDF5 file
split: str = "sky"  # division where the data chapter made none: "sky", "paper" or "published_code"
profile: str = "default"  # name of the profile that set these parameters: smoke, default, reference or paper
outputs: str = "_build/results/default"  # folder for results
simulated: int = 4000  # galaxies to draw when data is "simulated"
network: str = "dmagnet"  # which network; galaxylib.networks.registry.NETWORKS lists them
options: dict = {}  # the network's own options by name
width: float = 0.25  # factor on DMAGNet's channels; 1 is the paper
dropout: float = 0.3  # dropout in DMAGNet's head
size: int = 64  # side of the image that the network sees, pixels
crop: int = 192  # side of the centre that is cut out before resizing, pixels
growth: str = ""  # smaller centres first, as 'pixels x epochs', such as '128x6, 192x5'
epochs: int = 10  # passes over the training images
more_epochs: int = 0  # passes of the second round, from the weights kept; 0 for none
batch_size: int = 32  # images a step, over all devices together
accumulate: int = 1  # parts in which a device works through its share of a batch
optimizer: str = "adamw"  # what follows the gradient: adamw, adam, rmsprop
schedule: str = "one_cycle"  # how the learning rate goes: one_cycle, plateau, constant
learning_rate: float = 2e-3  # highest learning rate
more_learning_rate: float = 0.0  # highest learning rate of the second round; 0: that of the first
warm_up: float = 0.3  # one cycle: share of the steps in which the learning rate climbs
cycle_momentum: bool = True  # one cycle: swing the first beta between 0.95 and 0.85
plateau: int = 4  # plateau: epochs without a lower loss before the rate is divided by 10
weight_decay: float = 1e-2  # AdamW's weight decay
averaging: float = 0.0  # decay a step of the moving average of the weights, which is then kept; 0: none
label_smoothing: float = 0.1  # share of the target spread over all classes
gradient_norm: float = 1.0  # longest gradient, clipped above; 0 for no limit
rotate: float = 180.0  # augmentation: largest rotation either way, degrees
quarter_turns: bool = False  # augmentation: rotate by multiples of 90 degrees only
flip: float = 0.5  # augmentation: probability of each flip
brightness: float = 0.1  # augmentation: largest change of brightness, share
contrast: float = 0.1  # augmentation: largest change of contrast, share
jitter: float = 0.0  # augmentation: strength of zoom, colour, blur and noise; 1 as for the shipped networks
best_by: str = "loss"  # which validation figure tells the best epoch: loss, accuracy
patience: int = 0  # stop after so many epochs without a better one; 0: never
keep: str = "best"  # which epoch's weights stay: best, last
precision: str = "auto"  # arithmetic; auto asks the hardware: auto, float32, bfloat16, float16
seed: int = 0  # of the first weights, the order, the augmentation and dropout

# %% tags=["hide-input"]
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.splits import PAPER_TRAIN, PAPER_VALIDATION, PUBLISHED_SIZE, PUBLISHED_TEST
from galaxylib.paper import reference_page
from galaxylib.paper.blind_test import accuracy_in_words, blind_figures, score_in_words
from galaxylib.paper.conditions import conditions_of
from galaxylib.paper.figures import ACCENT, CONTRAST, style
from galaxylib.paper.halved import halved_rows, one_halved_in_words
from galaxylib.paper.parameters import as_declared, repository
from galaxylib.paper.reference import Reference, network_rows
from galaxylib.paper.report import Report
from galaxylib.paper.shipped import blind_at_first, blind_in_words, former_in_words, on_real, weights_table
from galaxylib.paper.trained import CHECKPOINT
from galaxylib.paper.workspace import open_data, open_split
from galaxylib.training.loop import train
from galaxylib.training.recipes import OF_COMPANIONS, PAPER_RECIPE, Recipe

style()
globals().update(as_declared(globals()))
report = Report(outputs, "03_training")
galaxies = open_data(data, outputs=outputs, simulated=simulated, seed=seed)
division = open_split(galaxies, outputs=outputs, method=split, seed=seed)
kind = "simulated" if galaxies.simulated else "real"

# %% tags=["remove-output", "hide-input"]
report.number("kind", kind)
printed = {"train": PAPER_TRAIN, "validation": PAPER_VALIDATION, "test": PUBLISHED_TEST}
for part, images in printed.items():
    report.number(f"n_{part}", len(getattr(division, part)))
    report.number(f"share_{part}", len(getattr(division, part)) / len(galaxies))
    report.number(f"paper_{part}", images)
report.number("paper_all", PUBLISHED_SIZE)
report.number("division", division.method)

reference = Reference.read()
own = next(row for row in network_rows(reference, "networks") if row["name"] == "dmagnet")
report.number("ref_machine", reference.machines("networks"))
for name in ("epochs", "seeds", "size", "accuracy", "accuracy_low", "accuracy_high", "train_accuracy"):
    report.number(f"ref_{name}", own[name])
report.number("ref_train", reference.about["n_train"])
report.number("ref_test", reference.about["n_test"])
report.number("ref_halved", one_halved_in_words(halved_rows(reference), "dmagnet"))

# %% tags=["remove-output", "hide-input"]
report.figure(
    "reference_learning", reference_page.learning_figure(reference, group="networks", name="dmagnet")
)

# %% [markdown]
# ## In the reference run
#
# A training that fits into a page shows how learning begins. The *reference run*, made once, trains for longer
# ([the chapter on the other networks](05_baselines.ipynb) tells how we made it; {glue:text}`ref_machine`). There
# DMAGNet at its full width learned from {glue:text}`ref_train:,` simulated galaxies of {glue:text}`ref_size` pixels a
# side in {glue:text}`ref_epochs` passes. It names {glue:text}`ref_accuracy:.1%` of {glue:text}`ref_test:,` test
# galaxies correctly (95 % interval {glue:text}`ref_accuracy_low:.1%` to {glue:text}`ref_accuracy_high:.1%`; number of
# trainings: {glue:text}`ref_seeds`), and {glue:text}`ref_train_accuracy:.1%` of those that it learned
# from. {glue:text}`ref_halved`
#
# ```{glue:figure} reference_learning
# :alt: Two panels against the pass over the training images, with one line for each training. On the left the losses on training and validation galaxies fall steeply and level out; on the right the accuracies rise.
# :name: fig-03-reference
#
# DMAGNet in the reference run, on simulated galaxies: loss and accuracy, pass by pass.
# ```
#
# From here on, where no other source is named, this page shows what its own run computed.
#
# ## What it learns from
#
# {glue:text}`n_train:,` {glue:text}`kind` galaxies train the network, {glue:text}`n_validation:,` others show after
# every pass how well it does on galaxies it has not learned from, and {glue:text}`n_test:,` wait for the next
# chapter. By the division “{glue:text}`division`” these are {glue:text}`share_train:.0%`,
# {glue:text}`share_validation:.0%` and {glue:text}`share_test:.0%` of the galaxies; the paper prints
# {glue:text}`paper_train:,`, {glue:text}`paper_validation:,` and {glue:text}`paper_test:,` of
# {glue:text}`paper_all:,` images. Galaxies that lie close together on the sky stay in the same part, so that no galaxy
# is in two ([the data chapter](01_data.ipynb) says why).
#
# ## The recipe
#
# A *recipe* holds every choice of a training run. The next table lists the one used here beside the paper's. The
# paper itself prints the split and the augmentation; the authors' published code has the rest {cite}`chessa_dmagnet`.

# %% tags=["remove-output", "hide-input"]
report.number("paper_epochs", PAPER_RECIPE.epochs)
report.number("paper_more_epochs", PAPER_RECIPE.more_epochs)
report.number("smoothed", 1 - label_smoothing + label_smoothing / len(CLASS_NAMES))
chosen = [setting for setting in fields(Recipe) if setting.name not in OF_COMPANIONS]
recipe = Recipe(**{setting.name: globals()[setting.name] for setting in chosen})
report.data("recipe", recipe.to_dict())
trained_on = {"train_images": len(division.train), "simulated": galaxies.simulated}
report.data("conditions", conditions_of(recipe.to_dict(), **trained_on))
settings = pd.DataFrame(
    {
        title: [
            f"{value:g}" if isinstance(value, float) else str(value)
            for value in (getattr(one, setting.name) for setting in chosen)
        ]
        for title, one in (("this run", recipe), ("paper", PAPER_RECIPE))
    }
    | {"meaning": [setting.metadata["help"] for setting in chosen]},
    index=pd.Index([setting.name for setting in chosen], name="setting"),
)
changed = [name for name, value in recipe.to_dict().items() if value != PAPER_RECIPE.to_dict()[name]]
report.number("n_changed", len(changed))
report.number("changed", ", ".join(f"`{name}`" for name in changed) or "nothing")
report.table("recipe_table", settings)

# %% [markdown]
# ```{glue:figure} recipe_table
# :name: tab-03-recipe
#
# Every setting of this run and of the paper's recipe. {glue:text}`n_changed:d` of them differ.
# ```
#
# Three settings deserve a word. *One cycle*: the learning rate climbs from a twenty-fifth of its top to the top, then
# falls to nearly nothing, step by step, over the whole run; large steps explore, small ones settle. *Label
# smoothing*: the target of the right class is {glue:text}`smoothed:.2f` and the rest is spread evenly over the
# others, because volunteers disagree too. *Two rounds*: the paper trains for {glue:text}`paper_epochs:d` passes,
# takes the weights of the lowest validation loss, and runs the whole cycle again from there for
# {glue:text}`paper_more_epochs:d` more.
#
# For an image of the class $c$ with {term}`logits <logit>` $z$, one for each of $K$ classes, the {term}`loss` is the
# {term}`cross-entropy` with the smoothed target $q$,
#
# ```{math}
# \ell(z, c) = - \sum_{k=1}^{K} q_k \log \frac{e^{z_k}}{\sum_{j=1}^{K} e^{z_j}} , \qquad
# q_k = \begin{cases} 1 - \varepsilon + \varepsilon / K & k = c, \\ \varepsilon / K & k \neq c, \end{cases}
# ```
#
# where $\varepsilon$ is the label smoothing of the table. AdamW follows the gradient of the loss's mean over a batch.
#
# The published code gives AdamW its usual first beta, but its one-cycle schedule overrides it: by default PyTorch
# swings the beta down and up again, against the learning rate. Our recipe does the same; `cycle_momentum=False` turns
# the swing off.
#
# ## Training
#
# Each time the network meets an image, the image is turned by a random angle, mirrored or not, and made a little
# brighter or darker. The change depends on the seed, the pass and the image alone: the same parameters give the same
# network, and an interrupted run can go on as if nothing had happened.

# %% tags=["hide-output"]
done = train(galaxies, division, recipe, out=Path(outputs) / CHECKPOINT, replace=True)

# %% tags=["hide-input"]
history = pd.DataFrame(done["history"])
report.data("history", history.to_dict(orient="list"))
for name in ("best_epoch", "parameters", "precision", "images_per_second"):
    report.number(name, done[name])
for name in ("loss", "accuracy", "macro_f1"):
    report.number(f"validation_{name}", done[f"validation_{name}"])
report.number("network", network)
report.number("width", width)
report.number("size", size)
report.number("crop", crop)
report.number("n_epochs", len(history))
report.number("minutes", done["seconds"] / 60)
report.number("chance_loss", float(np.log(len(CLASS_NAMES))))
counts = np.bincount(galaxies.labels[division.validation], minlength=len(CLASS_NAMES))
report.number("majority", float(counts.max() / counts.sum()))
report.number("checkpoint", done["checkpoint"])

# %% [markdown]
# The network has {glue:text}`parameters:,` parameters and looks at the central {glue:text}`crop:d` pixels of
# each image, shrunk to {glue:text}`size:d`. It went {glue:text}`n_epochs:d` times through the training images
# in {glue:text}`minutes:.1f` minutes, at up to {glue:text}`images_per_second:.0f` images a second in
# {glue:text}`precision`. The lowest validation loss came after pass {glue:text}`best_epoch:d`, where the network
# names {glue:text}`validation_accuracy:.1%` of the validation galaxies correctly; always naming the most frequent
# class would reach {glue:text}`majority:.1%`.

# %% tags=["remove-output", "hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
for part, colour, mark in (("train", ACCENT, "o"), ("validation", CONTRAST, "s")):
    left.plot(history["epoch"], history[f"{part}_loss"], color=colour, marker=mark, markersize=4, label=part)
    right.plot(
        history["epoch"],
        100 * history[f"{part}_accuracy"],
        color=colour,
        marker=mark,
        markersize=4,
        label=part,
    )
left.axhline(report.content["chance_loss"], color="0.5", linestyle=":", label="guessing")
right.axhline(100 * report.content["majority"], color="0.5", linestyle=":", label="largest class")
for axis in (left, right):
    axis.axvline(done["best_epoch"], color="0.7", linewidth=1, zorder=0)
    axis.set_xlabel("pass over the training images")
    axis.legend(fontsize=8)
left.set_ylabel("cross-entropy with label smoothing (nats)")
right.set_ylabel("accuracy (%)")
report.figure("learning_curves", fig)

# %% [markdown]
# ```{glue:figure} learning_curves
# :alt: Two panels against the pass over the training images. On the left the training and validation losses begin near the dotted line of guessing and fall; on the right both accuracies rise from the dotted line of the largest class. A thin vertical line marks the pass whose weights are kept.
# :name: fig-03-learning
#
# Loss and accuracy on {glue:text}`kind` galaxies, pass by pass. Training values are measured on augmented
# images while the weights still change, so that validation can look better than training. The grey line marks
# the weights that are kept.
# ```

# %% tags=["remove-output", "hide-input"]
fig, axis = plt.subplots(figsize=(7.2, 2.8))
axis.plot(history["epoch"], history["learning_rate"], color=ACCENT, marker="o", markersize=4)
axis.set_yscale("log")
axis.set_xlabel("pass over the training images")
axis.set_ylabel("learning rate at its end")
report.figure("learning_rate", fig)

# %% [markdown]
# ```{glue:figure} learning_rate
# :alt: One curve on a logarithmic scale: the learning rate climbs over the first third of the run to its top and then falls ever faster by several powers of ten.
# :name: fig-03-rate
#
# The learning rate at the end of each pass: one cycle up and down.
# ```
#
# ## What is left behind
#
# The folder {glue:text}`checkpoint` holds the best weights as plain arrays (safetensors: loading them executes
# nothing), a description with the recipe, the fingerprint of the data, the commit, the package versions, the
# hardware and the time, the split, the figures of every pass as a table, and the state from which the run can
# go on.
#
# ## Weights that come with the book
#
# Training at full width takes a GPU or patience. So the book brings networks in two families, trained before the book
# was built. `small` and `pretrained` learned from simulated galaxies alone; of real images they met only some without
# labels, which set the statistics of their batch normalisation. `real-small` and `real` learned from simulated
# galaxies and from real images of another survey, the SDSS, with the volunteers' votes of Galaxy Zoo 2 and the coarse
# classes of Galaxy Zoo 1. No label of Galaxy10 DECaLS taught any of them; but the simulator's recipes for the classes
# came from a prototype that had been scored on real labelled images. In `galaxylib train` each recipe bears its
# network's name, and each card gives the command.

# %% tags=["remove-output", "hide-input"]
blind_test = json.loads(repository("benchmarks/results/blind_test.json").read_text(encoding="utf-8"))
for one in on_real(None):
    name, judged = one.name.replace("-", "_"), blind_figures(blind_test, meta=one.meta)
    report.number(f"{name}_simulated", one.meta["results"]["simulated"]["plain"]["accuracy"])
    report.number(f"{name}_real", score_in_words(one.scores))
    report.number(f"{name}_blind", accuracy_in_words(judged.get("blind")))
    report.number(f"{name}_pooled", accuracy_in_words(judged.get("pooled")))
report.number("former_blind", former_in_words(blind_test))
report.number("blind_shortly", blind_in_words("real", blind_test))
for short, words in zip(("share", "of"), blind_at_first("real", blind_test), strict=True):
    report.number(f"blind_{short}", words)
report.number("n_real", one.scores["n"])
report.number("n_blind", max(row["n"] for row in blind_test["rows"]))
report.table("weights", weights_table(blind_test))

# %% [markdown]
# ```{glue:figure} weights
# :name: tab-03-weights
#
# The networks that come with the book, as `galaxylib.load` names them. Accuracy with its 95 % interval: on simulated
# galaxies that took no part in training; on {glue:text}`n_real:d` real images of Galaxy10 DECaLS that the makers of
# the weights had, read only when the weights were final; and in a blind test, on {glue:text}`n_blind:d` others that
# they never had. Each folder in `galaxylib/weights` has a card that tells what its network is not for.
# ```
#
# The book's former weights scored in the blind test: {glue:text}`former_blind`. One of them had named three quarters
# of the makers' own {glue:text}`n_real:d` images correctly: a figure from so few images, known to the makers, is no
# benchmark. The [data chapter](01_data.ipynb) tells what the present weights learned that those had not, and on which
# other galaxies we chose them.
#
# ## On a larger machine
#
# The same training runs outside the book, on one GPU or on many. Every setting of {numref}`tab-03-recipe` is an
# option; the paper's values are the defaults:
#
# ```bash
# galaxylib train --data Galaxy10_DECals.h5 --out runs/paper
# galaxylib train --data Galaxy10_DECals.h5 --out runs/paper --resume
# torchrun --nproc-per-node 4 -m galaxylib train --data Galaxy10_DECals.h5 --out runs/paper
# ```
#
# The second line continues an interrupted run. The third shares every batch among four GPUs; the batch, and with it
# the result, stays that of the recipe on any number of devices.

# %% tags=["hide-input"]
report.save()
