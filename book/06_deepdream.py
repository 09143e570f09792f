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
# # DeepDream
#
# Here we run a trained network in reverse: its weights stay, and we change the image until a chosen part of the
# network responds as strongly as it can. The galaxies are simulated unless you give a file. Beside the dreams stand
# those of the same network with random weights, which knows nothing.

# %% tags=["parameters"]
data: str = "simulated"  # "simulated", or the path of a Galaxy10 HDF5 file
profile: str = "default"  # name of the profile that set these parameters: smoke, default, reference or paper
checkpoint: str = "auto"  # a checkpoint folder, "real", "pretrained", "" for this run's own network, or "auto": real where the book has it, else the run's own
own_network: str = ""  # a network of your own in the checkpoint, "module:Class", that may be imported
seed: int = 0  # of the shifts, the noise and the random network
outputs: str = "_build/results/default"  # folder for results
simulated: int = 4000  # galaxies to draw when data is "simulated"
galaxies: int = 10  # galaxies to dream, class after class
size: int = 160  # pixels a side of their dreams
largest: int = 512  # pixels a side of the dreams of the first galaxies, all widths of the paper on the way
large_galaxies: int = 1  # how many galaxies are dreamed at the largest size
channels: int = 2  # channels to show of each stage
look: int = 300  # galaxies over which the channels are chosen; some of them set the controls' BatchNorm
views: int = 128  # pixels a side of the galaxy that is accentuated, caricatured and inverted
twins: int = 3  # networks with random weights that serve as controls
morphology: bool = True  # measure concentration, asymmetry, smoothness, Gini and M20 (half a second an image)

# %% tags=["hide-input"]
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, display
from matplotlib import pyplot as plt

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.dream import PAPER_DREAM, Prior, dream, dream_batch, logit, save_film
from galaxylib.dream.images import KERNEL
from galaxylib.dream.measures import probabilities, random_twin, references
from galaxylib.errors import DreamError
from galaxylib.evaluation.intervals import wilson
from galaxylib.files import filling
from galaxylib.networks.checkpoint import BROUGHT, load
from galaxylib.paper.channel_panels import beside, panel, silence, telling_channels
from galaxylib.paper.conditions import conditions_of_checkpoint
from galaxylib.paper.dream_panels import (
    DREAMT,
    dreams,
    measured,
    stage_objectives,
    trend,
    verdicts,
)
from galaxylib.paper.figures import ACCENT, CONTRAST, image_grid, style
from galaxylib.paper.knowledge import dreams_in_words, read_results, real_in_words, stages_in_words
from galaxylib.paper.parameters import as_declared
from galaxylib.paper.progress import steps
from galaxylib.paper.report import Report
from galaxylib.paper.trained import open_checkpoint
from galaxylib.paper.visualisations import APART, compared, looked, on_white, several, ways
from galaxylib.paper.workspace import open_data, open_split

# %% tags=["hide-input"]
style()
globals().update(as_declared(globals()))
report = Report(outputs, "06_deepdream")
catalogue = open_data(data, outputs=outputs, simulated=simulated, seed=seed)
split = open_split(catalogue, outputs=outputs, seed=seed)
if checkpoint == "auto":
    checkpoint = "real" if (BROUGHT / "real").exists() else ""
loaded = open_checkpoint(checkpoint, outputs=outputs, data=catalogue, split=split, own_network=own_network)
network, preprocess = loaded.network, loaded.preprocess
kind = "simulated" if catalogue.simulated else "real"
origin = {
    "real": "the network that comes with the book and has met real galaxies",
    "real-small": "the small network that comes with the book and has met real galaxies",
    "pretrained": "the network that comes with the book and learned from simulated galaxies alone",
    "": "the network of this run",
}
report.number("kind", kind)
report.number("network", origin.get(checkpoint, "the network of the checkpoint given"))
of_file = {"fingerprint": catalogue.fingerprint, "trained_on": len(split.train)}
report.data("conditions", conditions_of_checkpoint(loaded.meta, **of_file))
report.number("network_size", preprocess.size)
report.number("parameters", sum(parameter.numel() for parameter in network.parameters()))
report.number("size", size)
# How much larger a galaxy is in the dream than it was in the network's training.
report.number("magnification", size / 256 / (preprocess.size / preprocess.crop))
report.number("largest", largest)
report.number("seed", seed)
report.number("kernel_reach", KERNEL // 2)
report.number("lower_level", 1 / PAPER_DREAM.ratio)

# %% [markdown]
# The dreamer is {glue:text}`network`, a DMAGNet of {glue:text}`parameters:,d` parameters, trained on images
# {glue:text}`network_size:d` pixels wide. It dreams on {glue:text}`kind` galaxies {glue:text}`magnification:.1f`
# times as large as in training (the paper's first width is that of its training).
#
# ## The ascent
#
# Let $a(x)$ be the activations of a stage for the normalised image $x$, $n$ of them. The objective is their
# mean square,
#
# ```{math}
# L(x) = \frac{1}{n} \sum_{i=1}^{n} a_i(x)^2 ,
# ```
#
# and the image climbs its gradient ({cite}`mordvintsev2015,chessa_dmagnet`). At step $t$ of $T$ we shift the image
# round by a few random pixels, $R_s$, so that no pattern locks to the network's grid. We blur the gradient there and
# bring it to mean 0 and deviation 1 over the image, so that a step has the same length at every stage:
#
# ```{math}
# g_t &= G_t * \nabla L(R_s x_t) , \qquad
# G_t = \tfrac{1}{3} \left( N_{\sigma_t / 2} + N_{\sigma_t} + N_{2 \sigma_t} \right) , \qquad
# \sigma_t = 2\, \tfrac{t+1}{T} + \tfrac{1}{2} , \\
# x_{t+1} &= \operatorname{clamp} \left( x_t + \eta\, R_{-s}\, \frac{g_t - \bar g_t}{\operatorname{std} g_t} \right) .
# ```
#
# $N_\sigma$ is a Gaussian cut off {glue:text}`kernel_reach:d` pixels from its middle. The clamp keeps every value
# within a pixel's range. The blur grows from step to step: first detail, then form. At each width the image climbs
# twice, first at {glue:text}`lower_level:.0%` of the width and then in full; then we enlarge it (Lanczos) and dream
# anew at the next width. Only the image is handed on. At the end an unsharp mask sharpens it. The next table shows
# the setting `PAPER_DREAM` of `galaxylib.dream`.

# %% tags=["remove-output", "hide-input"]
report.table(
    "protocol",
    pd.DataFrame(
        {
            "width (pixels)": PAPER_DREAM.sizes,
            "steps on each level": PAPER_DREAM.steps,
            "step length": PAPER_DREAM.rates,
            "largest shift (pixels)": PAPER_DREAM.jitter,
        }
    ).set_index("width (pixels)"),
)

# %% [markdown]
# ```{glue:figure} protocol
# :name: tab-06-protocol
#
# The protocol of the paper, from the authors' published code; the paper itself prints the widths and the two
# levels only. The published code normalises with another standard deviation in dreaming than in training; here both
# use the network's own.
# ```
#
# ## Any layer
#
# One function makes every dream of this page. Its objective can be a stage, any submodule, a channel, a
# neuron, a direction or a class logit, and objectives add: `layer("lam") - 0.5 * layer("stem")` asks for what
# excites the end and not the beginning.

# %% tags=["hide-input"]
labels = np.asarray(catalogue.labels)
by_class = [[row for row in split.test if labels[row] == c] for c in range(len(CLASS_NAMES))]
by_class = [rows if rows else list(np.flatnonzero(labels == c)) for c, rows in enumerate(by_class)]
turns = [rows[turn] for turn in range(galaxies) for rows in by_class if turn < len(rows)]
rows = np.array(turns[:galaxies])


def read(rows):
    """Images (N, 3, 256, 256) in [0, 1]."""
    return torch.from_numpy(catalogue.read(np.asarray(rows))).permute(0, 3, 1, 2).float() / 255


def shown(image, pixels=256):
    """(3, H, W) in [0, 1] as an array for a figure, no larger than needed."""
    if image.shape[1] > pixels:
        image = torch.nn.functional.interpolate(image[None], size=(pixels, pixels), mode="area")[0]
    return image.permute(1, 2, 0).clamp(0, 1).numpy()


images = read(rows)
generator = np.random.default_rng(seed)
sample = np.sort(generator.choice(len(catalogue), min(look, len(catalogue)), replace=False))
names = [CLASS_NAMES[labels[row]] for row in rows]
report.number("n_galaxies", len(rows))

# %%
settings = PAPER_DREAM.to(size)
widths = " ".join(str(side) for side in PAPER_DREAM.to(largest).sizes)
report.data("dreamt", {"widths": widths, "levels": settings.levels, "stages": len(DREAMT)})
objectives = stage_objectives()
trained = dreams(network, images, objectives, settings=settings, preprocess=preprocess, seed=seed)

# %% tags=["remove-output", "hide-input"]
tiles, titles = [], []
for index, name in enumerate(names):
    tiles.append(shown(images[index]))
    titles.append(name)
    for stage in DREAMT:
        tiles.append(shown(trained[stage][index].image))
        titles.append(stage if index == 0 else "")
report.figure("stages", image_grid(tiles, titles=titles, columns=1 + len(DREAMT)))

# %% [markdown]
# ```{glue:figure} stages
# :alt: A grid of images. Each row begins with a galaxy of another class, followed by its dreams on the stages stem, dma1, dma2, dma3 and lam.
# :name: fig-06-stages
#
# The paper's Figure 3 on {glue:text}`n_galaxies:d` {glue:text}`kind` galaxies, each dreamed on the five stages
# at {glue:text}`size:d` pixels by {glue:text}`network`.
# ```
#
# ## All the way up
#
# The paper's images went on to twice and four times that width.

# %%
large = {}
with filling(Path(outputs) / "dreams", mark="lam-0.png") as folder:
    wanted = [(index, stage) for index in range(min(large_galaxies, len(rows))) for stage in objectives]
    for index, stage in steps(wanted, label=lambda one: f"{one[1]} up to {largest} pixels"):
        large[index, stage] = dream(
            network,
            images[index],
            objectives[stage],
            settings=PAPER_DREAM.to(largest),
            preprocess=preprocess,
            seed=seed,
            keep_frames=index == 0 and stage == "lam",
        )
        large[index, stage].save(
            folder / f"{stage}-{index}.png", checkpoint=checkpoint or f"{outputs}/checkpoint"
        )
    for name, pixels in (("lam-0.gif", 192), ("lam-0.mp4", 512)):
        save_film(large[0, "lam"].frames, folder / name, width=pixels)

# %% tags=["remove-output", "hide-input"]
tiles = [shown(images[0], 512), *(shown(large[0, stage].image, 512) for stage in DREAMT)]
report.figure("large", image_grid(tiles, titles=[names[0], *DREAMT], columns=3, pixels=420))

# %% [markdown]
# ```{glue:figure} large
# :alt: Six large images. The first is a galaxy; the other five are its dreams on the stages stem, dma1, dma2, dma3 and lam after all three widths, with finer patterns laid over coarse ones.
# :name: fig-06-large
#
# One {glue:text}`kind` galaxy through the whole protocol, up to {glue:text}`largest:d` pixels, shown smaller.
# ```

# %% tags=["hide-input"]
links = ", ".join(
    f'<a href="../dreams/{stage}-{index}.png">{stage} of galaxy {index + 1}</a>' for index, stage in large
)
film = '<a href="../dreams/lam-0.mp4">MP4</a>, <a href="../dreams/lam-0.gif">GIF</a>'
display(HTML(f"<p>At full size: {links}; and the way to the dream on lam as a film ({film}).</p>"))

# %% [markdown]
# Each of these files carries the record of how it was made. With the checkpoint,
# `galaxylib dream --from FILE --out AGAIN.png` makes it again, byte for byte on the same machine.
#
# ## The same network, knowing nothing
#
# A network with random weights has the same wiring, and wiring alone makes patterns. Our controls, {glue:text}`twins`
# of them, have weights drawn as before a training, and BatchNorm statistics measured on galaxies, so that their
# signals have the usual size.

# %%
report.number("twins", twins)
some = read(sample[:: max(1, len(sample) // 64)])
random = [random_twin(network, some, preprocess=preprocess, seed=seed + turn) for turn in range(twins)]
asleep = {"settings": settings, "preprocess": preprocess, "seed": seed}
controls = [dreams(twin, images, objectives, **asleep) for twin in random]

# %% tags=["remove-output", "hide-input"]
tiles = [shown(made[stage][0].image) for made in (trained, controls[0]) for stage in DREAMT]
titles = [f"{stage}, {kind_of}" for kind_of in ("trained", "random") for stage in DREAMT]
report.figure("control", image_grid(tiles, titles=titles, columns=len(DREAMT)))

# %% [markdown]
# ```{glue:figure} control
# :alt: Two rows of five dreams of one galaxy on the stages stem to lam, above by the trained network, below by the network with random weights. Both rows show patterns.
# :name: fig-06-control
#
# One {glue:text}`kind` galaxy dreamed by the trained network (above) and by one with random weights (below).
# ```
#
# ## A dream for each class
#
# The paper says that a network run in reverse raises the confidence of "a given output neuron, e.g. the one
# for bulges or spiral arms". Here one galaxy climbs each of the ten logits in turn, in one batch.

# %%
smooth = names.index("Round Smooth") if "Round Smooth" in names else 0
class_dreams = dream_batch(
    network,
    images[smooth : smooth + 1],
    [logit(c) for c in range(len(CLASS_NAMES))],
    settings=settings,
    preprocess=preprocess,
    seed=seed,
)
still = references(network, images, settings=settings, preprocess=preprocess)
seeing = {"preprocess": preprocess, "temperature": loaded.temperature}
before = probabilities(network, still[smooth : smooth + 1], **seeing)[0]
after = probabilities(network, torch.stack([made.image for made in class_dreams]), **seeing)
raised = [(float(before[c]), float(after[c, c])) for c in range(len(CLASS_NAMES))]
report.data("class_probabilities", raised)
report.number("logit_gain", float(np.mean([b - a for a, b in raised])))
report.number("logit_rose", sum(b > a for a, b in raised))
low, high = wilson(report.content["logit_rose"], len(raised))
report.data("logit_rise", {"share": report.content["logit_rose"] / len(raised), "low": low, "high": high})
report.number("start_class", names[smooth])

# %% tags=["remove-output", "hide-input"]
titles = [
    f"{name}\n{100 * a:.1f} % to {100 * b:.1f} %" for name, (a, b) in zip(CLASS_NAMES, raised, strict=True)
]
report.figure("classes", image_grid([shown(made.image) for made in class_dreams], titles=titles, columns=5))

# %% [markdown]
# ```{glue:figure} classes
# :alt: Ten dreams of one galaxy, one for each class, each titled with the class and its probability before and after.
# :name: fig-06-classes
#
# A {glue:text}`kind` galaxy of the class {glue:text}`start_class` dreamed towards each class, with the
# probability that the network gives to that class before and after.
# ```
#
# The probability of the class that was dreamed of rose in {glue:text}`logit_rose:d` of the ten dreams, by
# {glue:text}`logit_gain:.2f` on average.
#
# ## Channels that tell classes apart
#
# A rule picks the channels worth a look: those whose mean activation differs most between the classes, compared with
# its scatter within them (the F ratio of an analysis of variance). The same pass over {glue:text}`look:,d`
# {glue:text}`kind` galaxies finds the {glue:text}`beside:d` that excite each channel most, and those channels that no
# galaxy excites, of which a dream would show nothing: {glue:text}`silence`.

# %%
telling, found = telling_channels(
    network, read(sample), labels[sample], preprocess=preprocess, count=channels
)
report.data("telling_channels", telling.to_dict(orient="records"))
report.number("look", len(sample))
report.number("silence", silence(found))
chosen = [found[row.stage, row.channel] for row in telling.itertuples()]
report.number("beside", max(len(examples.best) for examples in chosen))
exciting = sorted({one.index for examples in chosen for one in examples.best})
pixels = dict(zip(exciting, catalogue.read(sample[exciting]), strict=True))

# %% [markdown]
# Their dreams are {glue:text}`own_size:d` pixels wide, the scale of the training images. They start from faint noise
# that has the spectrum and the colours of galaxies, and climb in Fourier space, where even a gradient without
# preference makes a step with the spectrum of galaxies.

# %%
# At the scale at which the network saw its training images.
own_size = max(64, round(256 * preprocess.size / preprocess.crop))
from_noise = PAPER_DREAM.but(
    start="galaxies", parametrisation="fourier", levels=1, steps=(30, 10, 5), rates=(0.15, 0.09, 0.03)
)
from_noise = from_noise.to(own_size)
report.number("own_size", own_size)
channel_dreams = []
for examples in steps(chosen, label=lambda one: f"channel {one.objective}"):
    try:
        made = dream(
            network, images[0], examples.objective, settings=from_noise, preprocess=preprocess, seed=seed
        )
        channel_dreams.append(made.image)
    except DreamError:  # faint noise leaves the channel at zero: no gradient, no way up
        channel_dreams.append(None)
report.number("stuck_channels", sum(image is None for image in channel_dreams))
report.number("prior", Prior.load().source)

# %% tags=["remove-output", "hide-input"]
titles = [f"{row.stage}:{row.channel}\n{CLASS_NAMES[row[4]]}" for row in telling.itertuples()]
panels = [
    panel(title, image, examples, pixels)
    for title, image, examples in zip(titles, channel_dreams, chosen, strict=True)
]
report.figure("channels", beside(panels))

# %% [markdown]
# ```{glue:figure} channels
# :alt: Dreams from noise on single channels, two to a row, from stem to lam, each titled with its channel and the class that excites it most. On the right of each dream stand nine galaxies in three rows, and in each of them a frame; the frames are tiny in the stem and as large as half the image or more in dma3 and lam.
# :name: fig-06-channels
#
# Channels chosen by the rule above, dreamed from noise; over each the class of {glue:text}`kind` galaxies
# that excites it most, and beside it the {glue:text}`beside:d` galaxies of {glue:text}`look:,d` whose mean activation is
# highest, the best first. The frame shows the strongest response: it is as wide as the circle that holds nine tenths
# of the squared gradient of one unit, measured as in [](02_architecture.ipynb) but with these weights. Spectrum and
# colours of the noise were measured on {glue:text}`prior`. Black: {glue:text}`stuck_channels:d` channels that galaxies
# excite but such noise leaves at zero, so that no dream starts there.
# ```
#
# ## The dreams in numbers
#
# We compare each dream with the same galaxy taken through the same protocol without a step, so that resampling and
# sharpening do not count.

# %%
table = measured(trained, still, network=network, **seeing, measure=morphology)
tables_random = [  # the shapes take statmorph half a second a dream: of the first control alone
    measured(made, still, network=twin, preprocess=preprocess, measure=morphology and twin is random[0])
    for twin, made in zip(random, controls, strict=True)
]
table_control = pd.concat(tables_random)
report.data("scores", table.to_dict(orient="records"))
report.data("scores_control", table_control.to_dict(orient="records"))

# %% tags=["remove-output", "hide-input"]
columns = {
    "gain": "activation gain",
    "change_rms": "size of the change",
    "change_frequency": "frequency (cycles per width)",
    "motif": "motif",
    "inside_share": "share inside the galaxy",
    "focus": "focus",
    "spectrum_distance": "spectrum's distance (dex)",
}


def means(frame, label):
    """Mean over galaxies, a row a stage."""
    mean = frame.groupby("objective", sort=False)[list(columns)].mean().rename(columns=columns)
    return mean.assign(network=label)


both = pd.concat([means(table, "trained"), means(table_control, "random")]).reset_index(names="stage")
report.table("score_table", both.set_index(["network", "stage"]).round(3))
each_class = {f"change_{number}": name for number, name in enumerate(CLASS_NAMES)}
changes = {
    (label, stage): 100 * group[list(each_class)].mean().rename(each_class)
    for label, frame in (("trained", table), ("random", table_control))
    for stage, group in frame.groupby("objective", sort=False)
}
changes = pd.DataFrame(changes).T.rename_axis(["network", "stage"])
report.table("change_table", changes.round(1) + 0.0)  # without -0.0
largest_change = changes.loc["trained"].abs().stack().idxmax()
report.number("change_stage", largest_change[0])
report.number("change_class", largest_change[1])
report.number("change_points", float(changes.loc["trained"].loc[largest_change]))
report.number("spectrum_before", float(table["spectrum_distance_before"].mean()))

# %% [markdown]
# ```{glue:figure} score_table
# :name: tab-06-scores
#
# Means over {glue:text}`n_galaxies:d` {glue:text}`kind` galaxies at {glue:text}`size:d` pixels. *Gain*: the objective
# after the dream divided by that before. *Frequency*: the mean frequency of the change's power. *Motif*: how far the
# change's autocorrelation swings back up after its first minimum. *Focus*: the share of the change inside the galaxy
# divided by the galaxy's share of the image; 1 means no preference. *Random* is the mean over {glue:text}`twins`
# networks. The spectrum's distance from that of galaxies was {glue:text}`spectrum_before:.2f` dex before the dreams.
# ```
#
# What the dreams do to the verdict of the network that dreamed them:
#
# ```{glue:figure} change_table
# :name: tab-06-changes
#
# Mean change of every class's probability, in percentage points, over the same {glue:text}`n_galaxies:d`
# {glue:text}`kind` galaxies; each row sums to 0, apart from rounding.
# ```
#
# No dream of a stage aims at a class, yet the dreams on {glue:text}`change_stage` move the trained network's
# probability of {glue:text}`change_class` by {glue:text}`change_points:+.1f` points on average, the largest
# of these changes.

# %% tags=["remove-output", "hide-input"]
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4))
labels_of = {
    "change_frequency": "mean frequency of the change\n(cycles per image width)",
    "motif": "motif (second maximum of\nthe autocorrelation)",
    "inside_share": "share of the change\ninside the galaxy",
}
sides = (("trained", [table], ACCENT, "o", -0.1), ("random", tables_random, CONTRAST, "s", 0.1))
for axis, (column, label) in zip(axes, labels_of.items(), strict=True):
    for name, tables, colour, mark, aside in sides:
        found_trend = trend(tables, column)
        reach = (found_trend["mean"] - found_trend["low"]).to_numpy()  # the intervals are symmetric
        places = np.arange(len(found_trend)) + aside
        axis.errorbar(places, found_trend["mean"], reach, color=colour, marker=mark, capsize=3, label=name)
    axis.set_xticks(range(len(DREAMT)), DREAMT, fontsize=8)
    axis.set(xlabel="stage", ylabel=label)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, title="weights")
report.figure("trends", figure)

# %% [markdown]
# ```{glue:figure} trends
# :alt: Three panels over the stages stem to lam. Each shows a score of the dreams by the trained network (circles) and by the random ones (squares) with intervals.
# :name: fig-06-trends
#
# Three scores over the stages, by the trained network (circles) and the random ones (squares): means over
# {glue:text}`n_galaxies:d` {glue:text}`kind` galaxies with 95 % intervals. Those of the random ones are over
# {glue:text}`twins` networks too, and their intervals cover the chance of the galaxies and of the random weights.
# ```
#
# ## The galaxies' shapes before and after

# %% tags=["remove-output", "hide-input"]
shapes = ["concentration", "asymmetry", "smoothness", "gini", "m20", "bar", "arms"]
shapes = [name for name in shapes if name in table]
moved = pd.DataFrame(
    {
        ("trained" if frame is table else "random", stage): {
            name: (group[name] - group[f"{name}_before"]).mean() for name in shapes
        }
        for frame in (table, tables_random[0])
        for stage, group in frame.groupby("objective", sort=False)
    }
).T.rename_axis(["network", "stage"])
report.table("shape_table", moved.round(2))

# %% [markdown]
# ```{glue:figure} shape_table
# :name: tab-06-shapes
#
# Mean change of the measured morphology ({cite}`conselice2000,lotz2008`) by a dream, with the amplitudes of
# the light's second harmonic inside half of the galaxy's radius (bar) and outside (arms). The rows "random" are those
# of the first random network alone, since the measurement takes long. The images are stretched for the eye, so these
# numbers serve to compare and are no photometry.
# ```
#
# ## What the paper says, tested
#
# The paper describes its dreams in words. We made each statement a number above; now we average this over the
# galaxies, with its 95 % interval, and compare it with a threshold. Where a statement is about what the network
# *learned*, the number is the difference from the random networks, and the interval covers the chance of the galaxies
# and that of the random weights.

# %% tags=["remove-output", "hide-input"]
judged = verdicts(table, tables_random)
for row in judged.itertuples():
    report.number(row.name, row.value)
    report.number(f"{row.name}_holds", row.holds)
report.data("verdicts", judged.to_dict(orient="records"))
shown_columns = ["claim", "measure", "value", "low", "high", "threshold", "control", "holds"]
report.table("verdict_table", judged[shown_columns].set_index("claim").round(3))
report.number("n_hold", int((judged["holds"] == "yes").sum()))
report.number("n_claims", len(judged))

# %% [markdown]
# ```{glue:figure} verdict_table
# :name: tab-06-verdicts
#
# The paper's statements about its dreams (section 5.1) tested on {glue:text}`n_galaxies:d` {glue:text}`kind`
# galaxies. *Control*: the same measure of the {glue:text}`twins` random networks. *Holds*: "yes" if the whole
# interval lies above the threshold, "no" if it lies below, else "open".
# ```
#
# {glue:text}`n_hold:d` of {glue:text}`n_claims:d` statements hold for {glue:text}`network`. The authors made them
# about their own network and real galaxies; to test a network trained on real galaxies, give it to this chapter with
# `-p checkpoint FOLDER -p data FILE`.

# %% [markdown]
# ## Near the galaxy, along it, and back to it
#
# An objective can also compare a stage's activation $a$ with $b$, that of the given galaxy:
#
# ```{math}
# \mathrm{near} = - \frac{\lVert a - b \rVert^2}{\lVert b \rVert^2} , \qquad
# \mathrm{caricature} = \frac{a \cdot b}{\lVert b \rVert^2} \left( \frac{a \cdot b}{\lVert a \rVert \lVert b \rVert} \right)^2 .
# ```
#
# {term}`Accentuation <accentuation>` climbs a logit and stays near ({cite}`hamblin2024`);
# {term}`inversion <inversion>` begins with faint noise and does nothing but come near ({cite}`mahendran2015`), so that
# it shows what a stage keeps; a {term}`caricature` goes further along $b$ ({cite}`mahendran2016`). {term}`MACO` begins
# with noise too and moves nothing but phases; we show what is left where the gradient, summed over the steps, was large
# ({cite}`fel2023`).

# %%
goal = logit(CLASS_NAMES[7])
looks = ways(
    goal,
    size=views,
    kept="dma1",
    exaggerated="dma2",
    inverted=("stem", "dma2", "lam"),
    turns=min(1.0, views / 128),  # fewer in the smoke profile
)
eyes = {"trained": network, "random": random[0]}
seen = looked(eyes, images[smooth], looks, preprocess=preprocess, seed=seed)
about = compared(seen, eyes, looks, goal=goal, kept="dma1", preprocess=preprocess)
report.data("views", about.to_dict(orient="records"))
report.number("views_size", views)
report.number("views_goal", CLASS_NAMES[7])

# %% tags=["remove-output", "hide-input"]
tiles, titles = [], []
for name, dreams_of in seen.items():
    tiles += [
        shown(images[smooth]),
        *(on_white(made, look) for made, look in zip(dreams_of, looks, strict=True)),
    ]
    titles += [f"{picture}\n{name}" for picture in ("galaxy", *(look.name for look in looks))]
report.figure("views", image_grid(tiles, titles=titles, columns=4))
words = {
    "goal_before": "logit before",
    "goal": "logit after",
    "moved": "dma1 moved",
    "likeness": "likeness to the galaxy",
}
rated = about.set_index(["network", "way"])
report.table("views_table", rated.rename(columns=words).round(2) + 0.0)
for way in ("dream", "accentuation"):
    report.number(f"{way}_goal", float(rated.loc[("trained", way), "goal"]))
    report.number(f"{way}_moved", float(rated.loc[("trained", way), "moved"]))
for name in eyes:
    for stage in ("stem", "dma2", "lam"):
        likeness = float(rated.loc[(name, f"inversion of {stage}"), "likeness"])
        report.number(f"{name}_{stage}_likeness", likeness)
report.number("caricature_end", seen["trained"][3].record["values"][-1])

# %% [markdown]
# ```{glue:figure} views
# :alt: Four rows of four images, the upper two rows by the trained network, the lower two by the network with random weights. Each half holds a galaxy, its dream, a picture from noise of which parts fade into white, the galaxy accentuated, its caricature, and three pictures that inversions of the stages stem, dma2 and lam made from noise.
# :name: fig-06-views
#
# A {glue:text}`kind` galaxy of the class {glue:text}`start_class`, {glue:text}`views_size:d` pixels wide, by the trained
# network (upper half) and by one with random weights (lower half). Dream, MACO and accentuation climb the logit of
# {glue:text}`views_goal`; the accentuation stays near the activation of dma1.
# ```
#
# ```{glue:figure} views_table
# :name: tab-06-views
#
# The logit of {glue:text}`views_goal` at the galaxy and at each picture; how far the activation of dma1 moved, in units
# of its own length; and the correlation of the picture's pixels with the galaxy's.
# ```
#
# A pattern that the random network also draws was not learned. Climbing {glue:text}`views_goal`, the trained network's
# dream reaches a logit of {glue:text}`dream_goal:.1f` and moves the activation of dma1 by {glue:text}`dream_moved:.2f` of its
# length; the accentuation reaches {glue:text}`accentuation_goal:.1f` and moves it by {glue:text}`accentuation_moved:.2f`.
# The inversions of stem, dma2 and lam resemble the galaxy by a correlation of {glue:text}`trained_stem_likeness:.2f`,
# {glue:text}`trained_dma2_likeness:.2f` and {glue:text}`trained_lam_likeness:.2f`, those by the random network by
# {glue:text}`random_stem_likeness:.2f`, {glue:text}`random_dma2_likeness:.2f` and
# {glue:text}`random_lam_likeness:.2f`: one galaxy and as many steps for all, so this is no measure of all that a stage
# keeps. The caricature's objective, one at the galaxy, ended at {glue:text}`caricature_end:.2f`; the closer to one, the
# less its picture shows.
#
# ## Several dreams of one logit
#
# Pictures that a logit answers to need not look alike. In a batch of $N$ images, `diversity("dma3")` compares which
# channels of a stage speak together: with the Gram matrix $G_i = \sum a_i a_i^\top$ over the places of image $i$, it is
#
# ```{math}
# \mathrm{diversity}_i = - \frac{1}{N - 1} \sum_{j \neq i} \frac{\langle G_i, G_j \rangle}{\lVert G_i \rVert \lVert G_j \rVert} ,
# ```
#
# and, added to the logit with a weight of {glue:text}`apart_weight:.0f`, keeps the dreams apart ({cite}`olah2017`).

# %%
small = load("real-small") if (BROUGHT / "real-small").exists() else loaded
report.number("several_network", origin["real-small"] if small is not loaded else report.content["network"])
one_logit = logit(CLASS_NAMES[7], class_names=small.class_names)
sides = {
    name: several(
        small, one_logit, stage="dma3", weight=weight, size=views, turns=min(1.0, views / 128), seed=seed
    )
    for name, weight in (("alone", 0.0), ("apart", APART))
}
for name, found in sides.items():
    report.number(f"{name}_alike", found.alike)
    report.number(f"{name}_goal", found.goal)
report.number("apart_weight", APART)

# %% tags=["remove-output", "hide-input"]
titles = [f"{name}, {number}" for name in sides for number in range(1, 5)]
tiles = [shown(made.image) for found in sides.values() for made in found.dreams]
report.figure("several", image_grid(tiles, titles=titles, columns=4))

# %% [markdown]
# ```{glue:figure} several
# :alt: Two rows of four pictures dreamed from the same four noises, above without the term that keeps them apart, below with it.
# :name: fig-06-several
#
# The logit of {glue:text}`views_goal` dreamed from four noises, {glue:text}`views_size:d` pixels wide, by
# {glue:text}`several_network`: each dream alone (above), and kept apart in dma3 (below). The mean cosine between the
# Gram matrices of two dreams is {glue:text}`alone_alike:.2f` above and {glue:text}`apart_alike:.2f` below.
# ```
#
# The dreams that are kept apart reach a mean logit of {glue:text}`apart_goal:.1f`, those left alone
# {glue:text}`alone_goal:.1f`: one draw of noise and one network, so an example and no law.

# %% [markdown]
# ## Dream yourself
#
# Here, in the browser, on a simulated galaxy (`ci/lab.py` made the pictures, `web/engine.js` dreams live); the
# [dream lab](dream_lab.md) has every galaxy, layer and setting:
#
# ```{raw} html
# :file: lab_embed.html
# ```
#
# On the command line, from any picture and towards any sum of layers, channels and classes:
#
# ```bash
# galaxylib dream --image galaxy.png --layer "lam - 0.5*stem" --checkpoint _build/results/default/checkpoint \
#     --size 512 --film dream.mp4 --out dream.png
# galaxylib dream --from dream.png --out again.png
# ```
#
# From Python, any network at all: your own `torch.nn.Module`, or one of timm's. `named_modules` lists its layers, and
# a name that it lacks brings up the nearest that it has.
#
# ```python
# import timm
# from galaxylib.dream import PAPER_DREAM, dream, layer, read_image
#
# network = timm.create_model("resnet10t", num_classes=10)
# made = dream(network, read_image("galaxy.png"), layer("layer3"), settings=PAPER_DREAM.to(256))
# made.save("dream.png")
# ```
#
# Live, in JupyterLab, with a preview at every step:
#
# ```python
# from galaxylib.dream.widget import DreamLab
#
# DreamLab(data="FILE.h5", networks={"this run": "_build/results/default/checkpoint"})
# ```

# %% tags=["remove-output", "hide-input"]
knowledge = read_results()
for name, words in (
    ("in_stages", stages_in_words(knowledge["probes"], "real")),
    ("on_real", real_in_words(knowledge["concepts_real"], "small")),
    ("in_dreams", dreams_in_words(knowledge["concept_dreams"])),
):
    report.number(name, words)

# %% [markdown]
# ## What the network knows
#
# Three results; [the chapter on concepts](10_concepts.ipynb) has the measurements behind them:
#
# - {glue:text}`in_stages`
# - {glue:text}`on_real`
# - {glue:text}`in_dreams`

# %% tags=["hide-input"]
report.save()
