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
# # What the stages know
#
# Our galaxies are drawn, so we know every one's true bar, bulge, arms and inclination. Here we ask each stage of the
# network for them, dream along the answer, and measure in the picture whether the thing that was asked for has grown.
# All galaxies are simulated but those of the section that says otherwise.

# %% tags=["parameters"]
data: str = "simulated"  # galaxies to dream: "simulated", or a file that galaxylib simulate drew
checkpoint: str = "real"  # the network that dreams here: "real", "real-small", or a folder with concepts
profile: str = "default"  # name of the profile that set these parameters: smoke, default, reference or paper
seed: int = 0  # of the galaxies and of the dreams
outputs: str = "_build/results/default"  # folder for results
simulated: int = 4000  # galaxies to draw when data is "simulated"
size: int = 160  # pixels a side of the dreams
dose: int = 20  # steps up, and as many down

# %% tags=["hide-input"]
import numpy as np
import torch

from galaxylib.dream import concept
from galaxylib.dream.settings import Settings
from galaxylib.networks.checkpoint import load
from galaxylib.paper import concept_dreams, probes
from galaxylib.paper.atlas_page import dreams_said, fidelity_said, made_said, read_atlas
from galaxylib.paper.atlas_page import figure as atlas_figure
from galaxylib.paper.figures import image_grid, style
from galaxylib.paper.knowledge import read_results
from galaxylib.paper.parameters import as_declared
from galaxylib.paper.report import Report
from galaxylib.paper.workspace import open_data

# %% tags=["hide-input"]
style()
globals().update(as_declared(globals()))
report = Report(outputs, "10_concepts")
results = read_results()
PROBED = "real"
probed = results["probes"]
for name, value in probes.facts(probed, PROBED).items():
    report.number(name, value)

# %% [markdown]
# ## Asking each stage
#
# A *probe* is the simplest reader there is: we average a stage's activation over the image, one number a channel, and
# let a ridge regression read a true property of the galaxy off these numbers {cite}`alain2017`. What it explains of
# the property's variance on galaxies held out, $R^2$, says how well a linear reader can recover it there. A stage can
# have this for free: pixels alone tell how large a galaxy is, and so do random weights. So the same reader gets two
# controls, the stages of {glue:text}`twins` networks with random weights, and the pixels reduced to as many numbers
# {cite}`hewitt2019`. We asked `real`, the network that comes with the book and has met real galaxies, on
# {glue:text}`galaxies` drawn galaxies that no network learned from; `benchmarks/probes.py` repeats it.

# %% tags=["remove-output", "hide-input"]
report.figure("probes", probes.heat_map(probed, PROBED))
report.figure("gain", probes.heat_map(probed, PROBED, kind="gain"))
report.figure("within", probes.heat_map(probed, PROBED, kind="within"))

# %% [markdown]
# ```{glue:figure} probes
# :alt: A heat map, properties down and stages across; the cells grow brighter towards the deeper stages for most properties.
# :name: fig-10-probes
#
# How much of a property's variance a linear reader recovers from each stage of `real`, on drawn galaxies held out
# ($R^2$). Bold: more than nothing and more than the better control, by the 95 % intervals over divisions of the
# galaxies.
# ```
#
# ```{glue:figure} gain
# :alt: A heat map of the same properties and stages with the advantage over the better control.
# :name: fig-10-gain
#
# What training adds: the same share less that of the better control.
# ```
#
# ```{glue:figure} within
# :alt: A heat map of the same properties and stages among galaxies of one class; most cells are far darker, but for those of magnitude, size and axis ratio.
# :name: fig-10-within
#
# The same share among galaxies of one class: each property less its mean over the class, so that knowing the class
# does not help. Bold: more than nothing.
# ```
#
# {glue:text}`said`
#
# ## On real galaxies
#
# A reader that learned on drawn galaxies alone might have learned the simulator's style instead of galaxies. So we show
# it {glue:text}`real_galaxies` real images of the Sloan Digital Sky Survey with the votes of Galaxy Zoo 2, and ask
# whether it puts them into the same order as the volunteers. For this we take `small`, which has met no label of any
# real galaxy in training; the simulator's recipes for its classes came from a prototype that had been scored on real
# labelled images. `benchmarks/concepts_real.py` made the figures; the images are not ours to pass on.

# %% tags=["remove-output", "hide-input"]
on_real = results["concepts_real"]
report.number("real_galaxies", f"{on_real['galaxies']['real']:,}")
report.figure("real", probes.real_figure(on_real, "small"))
report.number("real_said", probes.real_said(on_real, "small"))

# %% [markdown]
# ```{glue:figure} real
# :alt: One line a concept and question with its rank correlation and interval, and a cross for random weights.
# :name: fig-10-real
#
# Rank correlation between what a read-out of `small` says of real galaxies and the fraction of volunteers who gave
# the answer, with 95 % intervals, beside the best of the networks with random weights.
# ```
#
# {glue:text}`real_said`
#
# ## Dreams along a concept
#
# Each read-out is a direction in its stage, and a dream can climb it: `concept:bar_fraction` in `galaxylib dream`
# and in the widget. Here is one drawn galaxy, on its way down and up.

# %% tags=["hide-input"]
loaded = load(checkpoint)
told = results["concept_dreams"]
names = concept_dreams.to_show(told, loaded.concepts)
drawn = open_data(data, outputs=outputs, simulated=simulated, seed=seed)
spiral = np.flatnonzero(np.isin(drawn.labels, concept_dreams.SPIRALS))[0]
image = torch.from_numpy(drawn.read([spiral])).permute(0, 3, 1, 2).float() / 255
doses = (-dose, -(dose // 2), 0, dose // 2, dose)
settings = Settings(sizes=(size,), steps=(dose,), rates=(0.05,), jitter=(4,), levels=1, sharpen=0.0)
pictures, titles = [], []
for name in names:
    along = concept(name, concepts=loaded.concepts)
    made = concept_dreams.dosed(
        loaded.network, image, along, doses=doses, settings=settings, preprocess=loaded.preprocess, seed=seed
    )
    pictures += list((made[:, 0].permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8))
    titles += [f"{name.replace('_', ' ')}, {one:+d} steps" if one else "as it is" for one in doses]
report.number("shown", " and ".join(name.replace("_", " ") for name in names))
report.number("size", size)

# %% tags=["remove-output", "hide-input"]
report.figure(
    "doses", image_grid(np.stack(pictures), titles=titles, columns=len(doses), width=9.2, pixels=160)
)

# %% [markdown]
# ```{glue:figure} doses
# :alt: Rows of five pictures of the same simulated spiral galaxy, one row a concept, from steps down on the left over the galaxy as it is to steps up on the right.
# :name: fig-10-doses
#
# A simulated galaxy dreamed down and up along {glue:text}`shown`, {glue:text}`size:d` pixels a side. The middle is
# the galaxy as it is.
# ```
#
# A picture shows what one wants to see. So we measured, and not with the network that dreamed: the second harmonic of
# the light for bars, the pitch of the best logarithmic spiral {cite}`puerari1992`, moments for the axis ratio,
# `statmorph` {cite}`rodriguezgomez2019` for concentration and asymmetry, and the read-out of another network,
# {glue:text}`reader`, for all. {glue:text}`n_galaxies:d` galaxies each went up and down; as controls along a random
# direction of the same length in the same stage, and along the same direction in a network with random weights
# (`benchmarks/concept_dreams.py`).

# %% tags=["remove-output", "hide-input"]
report.number("reader", told["reader"]["name"])
report.number("n_galaxies", told["galaxies"])
report.number("n_concepts", len(told["concepts"]))
report.data("verdicts", {name: one["verdict"] for name, one in told["concepts"].items()})
report.table("verdicts_shown", concept_dreams.verdict_table(told))
report.figure("responses", concept_dreams.response_figure(told))
report.number("dreams_said", concept_dreams.said(told))

# %% [markdown]
# ```{glue:figure} responses
# :alt: One small plot a concept, its measure over the dose, with one line for the concept and two for the controls.
# :name: fig-10-responses
#
# Dose and response: the mean of each concept's measure over {glue:text}`n_galaxies:d` simulated galaxies, from steps
# down (left) to steps up (right), along the concept and along its two controls.
# ```
#
# ```{glue:figure} verdicts_shown
# :name: tab-10-verdicts
#
# The change of each measure from the lowest to the highest dose, the mean over galaxies, with 95 % intervals that
# hold for all {glue:text}`n_concepts:d` concepts at once. A concept *moves it* if its change lies on the named side
# of zero, alone and beyond both controls; it is *not shown to move it* where the interval holds zero, and then the
# interval's ends say how large an effect could have been missed.
# ```
#
# {glue:text}`dreams_said`
#
# ## An atlas
#
# A read-out asks a stage for one property. The [atlas](atlas.md) asks the other way round: which galaxies does the
# network take for alike? It lays {glue:text}`atlas_galaxies` drawn galaxies out by what they excite in the last
# attention module (LAM) of `real-small`, the network of the [dream lab](dream_lab.md), each channel averaged over its
# places: {glue:text}`atlas_channels:d` numbers a galaxy, brought to two by principal components and t-SNE
# {cite}`maaten2008`. The plane is cut into cells, and each of those that hold galaxies is shown by a dream along the
# mean activation of its galaxies, as in {cite}`carter2019`. On the atlas's own page a reader opens a cell, sees its
# galaxies, and goes on dreaming there.

# %% tags=["remove-output", "hide-input"]
atlas = read_atlas()
report.number("atlas_galaxies", f"{atlas['data']['galaxies']:,}")
report.number("atlas_channels", len(atlas["cells"][0]["vector"]))
report.number("atlas_cells", len(atlas["cells"]))
report.number("atlas_fidelity", fidelity_said(atlas))
report.number("atlas_dreams", dreams_said(atlas))
report.number("atlas_made", made_said(atlas))
report.figure("atlas", atlas_figure(atlas))

# %% [markdown]
# ```{glue:figure} atlas
# :alt: A cloud of points under a grid of cells. Most classes form a patch of their own, spirals at the upper left, smooth galaxies to their right, edge-on and cigar-shaped ones below; disturbed and merging galaxies, at the left, mix with their neighbours.
# :name: fig-10-atlas
#
# Drawn galaxies in the plane of the atlas, one point each, in the colour of its class. Of the grid's cells,
# {glue:text}`atlas_cells:d` hold galaxies.
# ```
#
# {glue:text}`atlas_fidelity` Trustworthiness is the measure of {cite}`venna2001`: it would be one if all
# neighbours in the plane were neighbours in truth. {glue:text}`atlas_dreams`
#
# What the atlas cannot tell: t-SNE keeps neighbours together and nothing else, so that the distance of two far groups
# and the size of a group mean nothing. Its galaxies are drawn, and where real ones would lie is another question.
# {glue:text}`atlas_made`
#
# ## In short
#
# - A linear reader finds what a stage encodes; what training added, only the controls tell.
# - Concepts that hold on drawn galaxies need not hold on real ones: ask before you use one.
# - A dream along a concept moves what the network reads. Whether it moves the thing itself is another question, and
#   a measure answers it.
#
# With a network of your own: `galaxylib probe CHECKPOINT --data FILE` learns its concepts, and `galaxylib dream
# --layer concept:bar_fraction` dreams along one. After `galaxylib export-web` the [dream lab](dream_lab.md) lists them too.

# %% tags=["hide-input"]
report.save()
