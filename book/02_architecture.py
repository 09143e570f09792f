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
# # The architecture
#
# This chapter takes DMAGNet apart, stage by stage: what each part computes, what it costs and how far it sees.
# Its figures are read off the network itself and stand beside those that the paper prints; the one galaxy that walks
# through it is simulated unless you give a file.

# %% tags=["parameters"]
data: str = "simulated"  # "simulated", or the path of a Galaxy10 HDF5 file
profile: str = "default"  # name of the profile that set these parameters: smoke, default, reference or paper
checkpoint: str = ""  # a checkpoint folder or "pretrained" to look into; empty for random weights
seed: int = 0  # of the random weights and of the noise that measures the reach
outputs: str = "_build/results/default"  # folder for results
simulated: int = 4000  # galaxies to draw when data is "simulated"
width: float = 1.0  # factor on every number of channels; 1.0 is the paper
reach_images: int = 8  # noise images over which the reach of a stage is averaged

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt

from galaxylib import DMAGNet, load
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.preprocessing import Preprocess
from galaxylib.networks.dmagnet import STAGES, count_parameters
from galaxylib.networks.inspection import draw, reach, stage_outputs, stage_table
from galaxylib.paper.claims import load_claims
from galaxylib.paper.figures import style
from galaxylib.paper.parameters import as_declared, repository
from galaxylib.paper.report import Report
from galaxylib.paper.workspace import open_data

style()
globals().update(as_declared(globals()))
report = Report(outputs, "02_architecture")
torch.manual_seed(seed)
network = DMAGNet(width=width)
report.number("width", width)

# %% [markdown]
# ## Six stages
#
# An image of three colours enters a **stem**, which cuts its size to a quarter. Five **DMA blocks** in three
# stages follow; each stage halves the size and doubles the channels. The **local attention module** (LAM)
# weighs what the blocks found, pixel by pixel, and the **head** reduces it to ten {term}`logits <logit>`, one for
# each class. The paper counts "four main components, arranged into nine layers": stem, blocks, LAM and head are the
# four; the stem, five blocks, the LAM, and the head's convolution and classifier are one way to count nine.

# %% tags=["remove-output", "hide-input"]
report.figure("architecture", draw(network))

# %% [markdown]
# ```{glue:figure} architecture
# :alt: Seven boxes in a row joined by arrows, from the image on the left over stem, dma1, dma2, dma3 and lam to the head on the right. From box to box the height, which stands for resolution, shrinks, and the width, which stands for channels, grows. Below each box stand its output shape, its parts and its number of parameters.
# :name: fig-02-architecture
#
# DMAGNet drawn from the model itself. Height is resolution and width is the number of channels, both on
# logarithmic scales; the shapes are those for an image of 256 pixels a side.
# ```
#
# ## What it costs
#
# The next table counts the parameters and the arithmetic of each stage, beside the paper's Table 1. The output shapes
# printed there are those of this network on images of {glue:text}`larger:d` pixels a side. We infer that the authors
# counted on such images; the paper does not say so. The network trains on images of 256 pixels, where its maps are
# half as wide, as the paper's own text says ($256 \to 64 \to 32 \to 16 \to 8$). Parameters do not depend on the size
# of the image.

# %% tags=["hide-input"]
at_256, at_512 = (stage_table(network, size=size) for size in (256, 512))
report.number("larger", 512)
total = count_parameters(network)
printed = load_claims(repository("book/claims.yml"))
paper = printed.table("000-table-1-params")["params"]
paper_output = printed.table("000-table-1-shapes")["output shape"]
table = pd.DataFrame(
    {
        "stage": at_256["stage"],
        "parameters": at_256["parameters"].map("{:,}".format),
        "the paper's": [f"{paper[stage]:,}" for stage in at_256["stage"]],
        "output, 256 px": at_256["output"],
        "output, 512 px": at_512["output"],
        "the paper's output": [paper_output[stage].replace("x", " x ") for stage in at_256["stage"]],
        "GFLOP, 256 px": (at_256["flop"] / 1e9).round(3),
    }
).set_index("stage")
report.number("paper_parameters", int(paper["total"]))
report.number("parameters", total)
report.data("parameters_by_stage", dict(zip(at_256["stage"], at_256["parameters"], strict=True)))
report.data("output_256", dict(zip(at_256["stage"], at_256["output"], strict=True)))
report.data("output_512", dict(zip(at_512["stage"], at_512["output"], strict=True)))
report.number("gflop_256", at_256["flop"].sum() / 1e9)
report.number("gflop_512", at_512["flop"].sum() / 1e9)
report.number("dma3_share", at_256.set_index("stage")["parameters"]["dma3"] / total)
report.number("channels_last", at_256["output"][len(STAGES) - 2].split(" x ")[0])

# %% tags=["remove-output", "hide-input"]
report.table("stages", table)

# %% [markdown]
# ```{glue:figure} stages
# :name: tab-02-stages
#
# The stages of DMAGNet at width {glue:text}`width`: {glue:text}`parameters:,` parameters in all and
# {glue:text}`gflop_256:.2f` GFLOP for one image of 256 pixels a side ({glue:text}`gflop_512:.1f` at
# {glue:text}`larger:d`). Beside them stand the paper's own figures (Table 1), {glue:text}`paper_parameters:,`
# parameters in all. A multiplication with its addition counts as two operations.
# ```
#
# The third stage alone holds {glue:text}`dma3_share:.0%` of the parameters, since their number grows with the
# square of the channels.
#
# ## Inside a DMA block
#
# A block normalises first and adds its input at the end, with no activation after the sum,
#
# $$
# y = S(x) + \mathrm{AFF}\big(\mathrm{FFN}\big(\mathrm{DLK}(u)\big)\big), \qquad
# u = \mathrm{ReLU\,BN\,Conv}_{3 \times 3}\big(\mathrm{ReLU\,BN}(x)\big),
# $$
#
# where $S$ is the identity, or a $1 \times 1$ convolution where the shape changes. Its three parts are
#
# **DLK**, three branches $b_L, b_M, b_S$ that look at $5 \times 5$, $3 \times 3$ and $1 \times 1$ pixels of each
# channel; global means $\langle\cdot\rangle$ decide, channel by channel, how much each branch counts,
#
# $$
# \begin{aligned}
# \mathrm{DLK}(u) &= u + w_L\, b_L(u) + w_M\, b_M(u) + w_S\, b_S(u), \\
# (w_L, w_M, w_S) &= \sigma\big(W_2\, \mathrm{ReLU}(W_1 \langle b_L, b_M, b_S \rangle)\big);
# \end{aligned}
# $$
#
# **MS-FFN**, which widens the channels four times, looks at them with a plain and a dilated depthwise kernel
# $D_1, D_2$, and comes back,
#
# $$
# \mathrm{FFN}(v) = v + P\,\mathrm{ReLU\,BN}\big[D_1(E v),\, D_2(E v)\big], \qquad E v = \mathrm{ReLU\,BN\,Conv}_{1 \times 1}(v);
# $$
#
# **AFF**, a gate for each channel, $\mathrm{AFF}(z) = z + z\,\sigma\big(V_2\,\mathrm{ReLU}(V_1 \langle z \rangle)\big)$.
#
# The LAM gates each pixel $p$ by its own channels, $u_p\,\sigma\big(G_2\,\mathrm{ReLU}(G_1 u_p)\big)$, between two
# $3 \times 3$ convolutions, and the head averages its pixels with weights from a last small attention.
#
# ### What is fact and what is choice
#
# Parameter counts alone do not fix the inside of a block: dilation, order, activations and residuals have no
# parameters. For these we follow the authors' published code, which departs from the paper's own words in places.
# Nothing in the "dilated large kernel" is dilated (the dilated kernel is in the MS-FFN); the "local attention" has no
# neighbourhood of its own; the "attention feature fusion" has one input only. The head's weights are not divided by
# their sum: it takes a mean of weighed pixels, not a weighted mean. The paper says nothing of the first weights; we
# take these from the code too: normal, scaled by each convolution's outputs, and small in the linear layers.

# %% tags=["hide-input"]
first, *_ = network.dma1
parts = {
    "shortcut": first.shortcut,
    "first norm": first.norm,
    "3 x 3 convolution": first.conv,
    "DLK": first.dlk,
    "MS-FFN": first.ffn,
    "AFF": first.aff,
}
blocks = {"dma1.0": network.dma1[0], "dma1.1": network.dma1[1], "dma2": network.dma2}
blocks |= {"dma3.0": network.dma3[0], "dma3.1": network.dma3[1]}
names = ("shortcut", "norm", "conv", "dlk", "ffn", "aff")
inside = pd.DataFrame(
    {
        block: {
            label: f"{count_parameters(module.get_submodule(name)):,}"
            for label, name in zip(parts, names, strict=True)
        }
        | {"block": f"{count_parameters(module):,}"}
        for block, module in blocks.items()
    }
)
inside.index.name = "part"

# %% tags=["remove-output", "hide-input"]
report.table("blocks", inside)

# %% [markdown]
# ```{glue:figure} blocks
# :name: tab-02-blocks
#
# Parameters of each part of the five DMA blocks. The MS-FFN is the largest part of each.
# ```
#
# ## How far a stage sees
#
# Because the gates average over the whole image, every pixel touches every stage after the stem. The part that
# matters is smaller: the gradient of one unit in the middle of a stage falls off with distance.
# {numref}`fig-02-reach` shows the diameter that holds nine tenths of its squared magnitude, measured on noise with
# random weights.

# %% tags=["remove-output", "hide-input"]
sight = {stage: reach(network, stage, images=reach_images, seed=seed) for stage in STAGES[:-1]}
report.data("reach_pixels", sight)
report.number("reach_stem", sight["stem"])
report.number("reach_lam", sight["lam"])
report.number("reach_lam_arcsec", sight["lam"] * 0.262)
figure, axis = plt.subplots(figsize=(6.4, 2.9))
bars = axis.bar(list(sight), list(sight.values()), color="#4477AA", width=0.6)
axis.bar_label(bars, fmt="%.0f", padding=2)
axis.axhline(256, color="#EE6677", linestyle="--", linewidth=1)
axis.text(-0.4, 250, "the whole image", color="#B5364A", va="top", fontsize=9)
axis.set(xlabel="stage", ylabel="diameter (pixels)", ylim=(0, 275))
report.figure("reach", figure)

# %% [markdown]
# ```{glue:figure} reach
# :alt: Bar chart of the diameter seen by one unit in each stage. It grows with every stage, from the stem to the LAM, and the LAM's bar comes nearest to a dashed line that marks the whole image.
# :name: fig-02-reach
#
# Effective receptive field at random weights: from {glue:text}`reach_stem:.0f` pixels in the stem to
# {glue:text}`reach_lam:.0f` pixels ({glue:text}`reach_lam_arcsec:.0f` arcsec at the survey's scale) in the LAM.
# ```
#
# A unit of the stem sees a knot or a star; a unit of the LAM sees a whole galaxy. The paper reads an order in its
# dreams ("point-like" first, "globally coherent" last). This much of it is a property of the layout: it is there
# before the network learns anything. The chapter on [dreams](06_deepdream.ipynb) therefore sets each dream beside one
# of a network with random weights.
#
# ## One galaxy on its way

# %% tags=["remove-output", "hide-input"]
if checkpoint:
    loaded = load(checkpoint)
    walker, preprocess, weights = loaded.network, loaded.preprocess, f"of the checkpoint {checkpoint}"
else:
    walker, preprocess, weights = network, Preprocess(), "random"
with open_data(data, outputs=outputs, simulated=simulated, seed=seed) as galaxies:
    spirals = np.flatnonzero(galaxies.labels == CLASS_NAMES.index("Barred Spiral"))
    row = int(spirals[0]) if len(spirals) else 0
    pixels = galaxies.read([row])
    origin = "simulated" if galaxies.simulated else "real"
    kind = CLASS_NAMES[galaxies.labels[row]]
maps = stage_outputs(walker, preprocess(torch.from_numpy(pixels)), stages=STAGES[:-1])
figure, axes = plt.subplots(1, 6, figsize=(7.6, 1.75))
axes[0].imshow(pixels[0])
for axis, output in zip(axes[1:], maps.values(), strict=True):
    axis.imshow(output[0].square().mean(dim=0).sqrt())
for axis, title in zip(axes, ("image", *maps), strict=True):
    axis.set_title(title)
    axis.axis("off")
report.number("galaxy_row", row)
report.number("galaxy_origin", origin)
report.number("galaxy_class", kind)
report.number("walk_weights", weights)
report.figure("walk", figure)

# %% [markdown]
# ```{glue:figure} walk
# :alt: A galaxy's image followed by five maps of activation, one for each stage from stem to LAM. The first maps still show the galaxy's outline; from stage to stage the maps become coarser.
# :name: fig-02-walk
#
# A {glue:text}`galaxy_origin` galaxy of the class {glue:text}`galaxy_class` (row {glue:text}`galaxy_row:d` of
# the file), and the root mean square over the channels of what each stage makes of it. Weights:
# {glue:text}`walk_weights`.
# ```
#
# ## Use it
#
# ```python
# from galaxylib import DMAGNet
#
# network = DMAGNet()  # the paper's network; width=0.25 for a small machine
# # images: (N, 3, H, W), normalised, any size from 32 pixels a side
# logits = network(images)
# features = network.forward_features(images)
# ```

# %% tags=["hide-input"]
report.save()
