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
# # The galaxies
#
# This chapter shows ten kinds of galaxy, how many there are of each, where they lie on the sky, and how we divide
# them into training, validation and test. The galaxies are simulated unless you give a file; the last sections say
# how far to trust the simulation.

# %% tags=["parameters"]
data: str = "simulated"  # "simulated", or the path of a Galaxy10 HDF5 file
real_sample: str = ""  # path of a Galaxy10 file with real images to compare with; "" for none
catalogue: str = ""  # path of a CSV file (label, ra, dec) whose sky to show; "" for the galaxies' own
split: str = "sky"  # how to divide the galaxies: "sky", "paper" or "published_code"
fractions: list = [0.72, 0.10, 0.18]  # shares of training, validation and test when split is "sky"
profile: str = "default"  # name of the profile that set these parameters: smoke, default, reference or paper
seed: int = 0  # of the simulated galaxies, the split and the random changes
outputs: str = "_build/results/default"  # folder for results
simulated: int = 4000  # galaxies to draw when data is "simulated"
compared: int = 300  # simulated images measured for the comparison with real ones

# %% tags=["hide-input", "remove-stderr"]
import json
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from IPython.display import display
from matplotlib import pyplot as plt

# %% tags=["hide-input", "remove-stderr"]
from galaxylib.data.galaxy10 import CLASS_COUNTS, CLASS_NAMES, Galaxy10, distinct
from galaxylib.data.preprocessing import MEAN, STD, Augment, Preprocess
from galaxylib.data.sky import Catalogue
from galaxylib.data.splits import make_split, survey
from galaxylib.data.stretch import viewer_colours
from galaxylib.evaluation.intervals import wilson
from galaxylib.paper import real_galaxies
from galaxylib.paper.blind_test import blind_table, seeds_in_words, seeds_table
from galaxylib.paper.figures import ACCENT, CLASS_COLOURS, CONTRAST, image_grid, style
from galaxylib.paper.parameters import as_declared, repository
from galaxylib.paper.report import Report
from galaxylib.paper.transfer import accuracy_table
from galaxylib.paper.workspace import open_data
from galaxylib.simulate import VERSION
from galaxylib.simulate.camera import blurred
from galaxylib.simulate.classes import CLASS_RECIPES
from galaxylib.simulate.drawing import CAMERA, FIELD, draw
from galaxylib.simulate.light import PIXEL_SCALE
from galaxylib.simulate.realism import portrait, rows_alike, tell_apart
from galaxylib.simulate.scene import frame, galaxy, paint_field

style()
globals().update(as_declared(globals()))
report = Report(outputs, "01_data")
galaxies = open_data(data, outputs=outputs, simulated=simulated, seed=seed)
real = Galaxy10(real_sample) if real_sample else None
measured = json.loads(repository("benchmarks/results/real_statistics.json").read_text(encoding="utf-8"))
kind = "simulated" if galaxies.simulated else "real"
report.number("kind", kind)
report.number("n_galaxies", len(galaxies))
report.number("distinct_images", distinct(galaxies))
report.number("fingerprint", galaxies.fingerprint)
report.number("notes", " ".join(galaxies.notes).replace("`", "") or "nothing is missing.")

# %% [markdown]
# Before anything else we open the file and check it. Each galaxy is one row: `galaxies.labels` holds its class,
# `galaxies.ra` and `galaxies.dec` its place on the sky, and `galaxies.read(rows)` fetches pictures.

# %%
galaxies

# %%
galaxies.labels[:10], galaxies.read([0, 1]).shape

# %% [markdown]
# ## Ten kinds of galaxy
#
# The volunteers of Galaxy Zoo looked at hundreds of thousands of galaxies and answered simple questions
# about each: is it smooth? is there a bar? how tight are the arms? {cite}`lintott2008,willett2013`. Galaxy10
# DECaLS {cite}`leung2019` took {glue:text}`published_galaxies:,` galaxies about which they agreed, with pictures from
# the DESI Legacy Imaging Surveys {cite}`dey2019`, and gave each one of ten names.
#
# | class | what to look for |
# |---|---|
# | Disturbed | A galaxy pulled out of shape: lopsided, torn, with stray light on one side. |
# | Merging | Two galaxies, or more, falling into each other; often a bridge or a tail between them. |
# | Round Smooth | A round ball of light that fades outwards and shows nothing else. |
# | In-between Round Smooth | The same, but oval. |
# | Cigar Shaped Smooth | The same again, at least three times as long as wide. |
# | Barred Spiral | A straight bar through the middle; arms start at its ends. |
# | Unbarred Tight Spiral | No bar; arms wound so closely that they look like rings. |
# | Unbarred Loose Spiral | No bar; arms that open wide. |
# | Edge-on without Bulge | A disc seen from its rim: a thin line. |
# | Edge-on with Bulge | The same with a swelling in the middle, like a flying saucer. |
#
# The borders are not sharp. A tight arm and a loose one differ by a few degrees, and a volunteer who sees a
# faint bar may or may not say so. Look at {numref}`fig-01-examples` and try to name each before you read its
# title.

# %% tags=["remove-output", "hide-input"]
generator = np.random.default_rng(seed)


def wrap(title):
    return "\n".join(textwrap.wrap(title, 16))


def gallery(file):
    """Three galaxies of each class, drawn at random."""
    rows = np.concatenate([generator.permutation(np.flatnonzero(file.labels == k))[:3] for k in range(10)])
    titles = [wrap(CLASS_NAMES[label]) for label in file.labels[rows]]
    return image_grid(file.read(rows), titles=titles, columns=6)


report.figure("examples", gallery(galaxies))

# %% [markdown]
# ```{glue:figure} examples
# :alt: Thirty small pictures of galaxies on a dark sky, three of each class. Smooth classes are yellowish blobs, round, oval or long; spirals show arms, some with a bar; edge-on discs are thin lines; merging galaxies have two cores; disturbed ones are ragged. Small stars and neighbours dot every picture.
# :name: fig-01-examples
#
# Three {glue:text}`kind` galaxies of each class, drawn at random. Each picture is 256 pixels or
# {glue:text}`image_arcsec:.0f` arcsec wide; red, green and blue show light in the bands z, r and g.
# ```

# %% mystnb={"image": {"alt": "Thirty real galaxies, three of each class, laid out like the figure above."}} tags=["hide-input"]
if real is None:
    print("No real images were given to set beside them (parameter real_sample).")
else:
    print(f"Real galaxies, from {real.path.name}:")
    display(gallery(real))
    plt.close("all")

# %% [markdown]
# ## How many of each
#
# The published set is unbalanced: for each Cigar there are {glue:text}`round_per_cigar:.1f` Round ones. A
# network that never says "Cigar" loses only {glue:text}`cigar_share:.1%` of accuracy. That is why this book also
# quotes the {term}`macro F1`, in which every class counts alike.

# %% tags=["remove-output", "hide-input"]
counts = np.bincount(galaxies.labels, minlength=10)
published = np.array(list(CLASS_COUNTS.values()))
fig, axis = plt.subplots(figsize=(7.2, 3.6))
places = np.arange(10)
axis.barh(
    places, 100 * counts / counts.sum(), color=[CLASS_COLOURS[name] for name in CLASS_NAMES], height=0.7
)
axis.scatter(
    100 * published / published.sum(), places, color="black", marker="|", s=180, linewidths=1.5, zorder=3
)
axis.set_yticks(places, CLASS_NAMES)
axis.invert_yaxis()
axis.set_xlabel("share of the galaxies (%)")
report.figure("counts", fig)
report.number("image_arcsec", 256 * PIXEL_SCALE)
report.number("largest_class", CLASS_NAMES[counts.argmax()])
report.number("smallest_class", CLASS_NAMES[counts.argmin()])
report.number("published_galaxies", int(published.sum()))
report.number("round_per_cigar", CLASS_COUNTS["Round Smooth"] / CLASS_COUNTS["Cigar Shaped Smooth"])
report.number("cigar_share", CLASS_COUNTS["Cigar Shaped Smooth"] / published.sum())

# %% [markdown]
# ```{glue:figure} counts
# :alt: Horizontal bars, one a class, the shortest for Cigar Shaped Smooth and the longest for Round Smooth, each with a black tick for the share in the published set.
# :name: fig-01-counts
#
# Share of each class among the {glue:text}`n_galaxies:,` {glue:text}`kind` galaxies of this run (bars) and in
# the published set of {glue:text}`published_galaxies:,` (ticks).
# ```
#
# ## Where they are on the sky
#
# Galaxies have addresses: right ascension and declination, the sky's longitude and latitude. This file says
# of itself: {glue:text}`notes`

# %% tags=["remove-output", "hide-input"]
sky = Catalogue.read(catalogue) if catalogue else galaxies
known = np.isfinite(sky.ra) & np.isfinite(sky.dec)
fig, axis = plt.subplots(figsize=(8, 4.4), subplot_kw={"projection": "mollweide"})
# Right ascension grows to the left, as on any map of the sky; the published set lies in grey below.
step, cells = (
    measured["sky_map"]["step_degrees"],
    np.array([row.split() for row in measured["sky_map"]["counts"]], dtype=int),
)
edges_ra, edges_dec = np.radians(np.arange(-180, 181, step)), np.radians(np.arange(-90, 91, step))
around = np.roll(cells, cells.shape[1] // 2, axis=1)[:, ::-1]
axis.pcolormesh(edges_ra, edges_dec, np.ma.masked_equal(around, 0), cmap="Greys", vmin=-15, vmax=70)
longitude = -((sky.ra[known] + 180) % 360 - 180)
axis.scatter(np.radians(longitude), np.radians(sky.dec[known]), s=2.5, color=ACCENT, linewidths=0)
axis.grid(alpha=0.3)
axis.set_xticks(np.radians(np.arange(-150, 151, 30)), [])
for longitude in range(-150, 151, 60):
    axis.text(np.radians(longitude), np.radians(-48), f"{-longitude % 360}°", ha="center", fontsize=9)
axis.set_xlabel("right ascension (degrees)", labelpad=12)
axis.set_ylabel("declination (degrees)")
if not known.any():
    axis.text(0, 0.8, "no galaxy of this file has a known position", ha="center")
report.figure("sky", fig)
report.number("positioned", int(known.sum()))
report.number(
    "sky_of", f"the catalogue {Path(catalogue).name}" if catalogue else f"the {kind} galaxies of this run"
)

# %% [markdown]
# ```{glue:figure} sky
# :alt: An oval map of the whole sky. Grey cells show the published set: a wide field in the north, from the equator halfway to the pole and more, at both edges of the map, and a narrow strip along the equator in the middle of the map. Dots are the galaxies of this run; simulated ones fill a band along the equator evenly.
# :name: fig-01-sky
#
# Dots: the {glue:text}`positioned:,` positions of {glue:text}`sky_of`, in Mollweide projection. Grey: the published
# set, which lies where the Sloan Digital Sky Survey looked: a wide field around the north pole of the Milky Way and a
# strip along the equator. Simulated galaxies get random positions in a band; nothing in their pictures depends on
# them.
# ```
#
# ## The same galaxy twice
#
# Here lies a trap. In the published catalogue of {glue:text}`real_galaxies:,` galaxies,
# {glue:text}`real_pairs_10` pairs lie within ten arcseconds of each other. A picture is
# {glue:text}`image_arcsec:.0f` arcsec wide, so both members of such a pair show the same piece of sky.
# {glue:text}`real_pairs_1` of the pairs even lie within one arcsecond, which makes them the same galaxy, and
# {glue:text}`real_pairs_1_two_labels` of those carry two *different* labels, so that no network can be right on both.
#
# A split that draws galaxies at random puts one member of some pairs in training and the other in the test.
# So we group first: galaxies linked by steps of at most ten arcsec are friends, friends of friends form a
# group, and a group stays together. A galaxy without a position is a group of its own. Within each class we then draw
# groups for training, validation and test.
#
# We keep two other methods for comparison with published numbers. `paper` has the sizes that the paper prints, which
# leave some images unused (it does not say which, or why); `published_code` repeats the draw of the authors' code
# {cite}`chessa_dmagnet`. {numref}`tab-01-leaks` counts what each method lets through.

# %% tags=["remove-output", "hide-input"]
here = survey(sky, fractions=fractions, seed=seed)
published_sky = measured["catalogue"]


def leak_rows(found, name):
    for method, counted in found["methods"].items():
        if "refused" in counted:
            yield {"galaxies": name, "split": method}
        else:
            yield {"galaxies": name, "split": method} | counted


leaks = pd.DataFrame([*leak_rows(published_sky, "published"), *leak_rows(here, "this run")])
leaks = leaks.rename(columns={"groups": "parted groups", "test_rows": "leaked tests", "validation": "valid."})
number_columns = [column for column in leaks if column not in ("galaxies", "split")]
leaks[number_columns] = leaks[number_columns].map(lambda value: "-" if pd.isna(value) else f"{int(value):,}")
leaks = leaks[["galaxies", "split", *number_columns]].set_index(["galaxies", "split"])
report.table("leaks", leaks)
report.number("real_galaxies", published_sky["galaxies"])
report.number("real_pairs_1", published_sky["pairs_1_arcsec"])
report.number("real_pairs_10", published_sky["pairs_10_arcsec"])
report.number("real_pairs_1_two_labels", published_sky["pairs_1_arcsec_two_labels"])
by_code = published_sky["methods"]["published_code"]
report.number("real_leaked_code", by_code["test_rows"])
report.number("real_leaked_share", by_code["test_rows"] / by_code["test"])
report.number("pairs_10_here", here["pairs_10_arcsec"])

# %% [markdown]
# ```{glue:figure} leaks
# :name: tab-01-leaks
#
# Three ways to divide the galaxies. "Parted groups" are sky groups with members in more than one part, and
# "leaked tests" are test images with a neighbour of their group in training or validation. The upper rows were
# counted once on the published catalogue; the lower ones are {glue:text}`sky_of`, among which
# {glue:text}`pairs_10_here` pairs lie within ten arcsec. A dash: too few galaxies to draw this split.
# ```
#
# The leak is small: by the published code's draw it touches {glue:text}`real_leaked_code` test images, or
# {glue:text}`real_leaked_share:.1%`; it can change an accuracy by no more than that. Avoiding it costs nothing. This
# run divides its galaxies by the method "{glue:text}`split_method`" and writes the rows down once; every later
# chapter reads them from there.

# %%
division = make_split(galaxies, method=split, fractions=fractions, seed=seed)
division.save(Path(outputs) / "split.json")
for part in ("train", "validation", "test"):
    report.number(f"n_{part}", len(getattr(division, part)))
report.number("split_method", division.method)

# %% tags=["remove-output", "hide-input"]
per_part = {
    part: np.bincount(galaxies.labels[getattr(division, part)], minlength=10)
    for part in ("train", "validation", "test")
}
table = pd.DataFrame({"published": published, "this run": counts, **per_part}, index=CLASS_NAMES)
table.loc["all"] = table.sum()
report.table("classes", table)

# %% [markdown]
# ```{glue:figure} classes
# :name: tab-01-classes
#
# Galaxies of each class in the published set, in this run, and in its three parts.
# ```
#
# ## What the network sees in training
#
# A galaxy has no up or down, and the survey's exposure varies. So each time we show a training image, we rotate it by
# a random angle of up to a full turn, flip it left to right and top to bottom with probability one half each, and
# change its brightness and contrast by up to ten per cent. This is the paper's recipe. The change depends on the
# seed, the epoch and the row number alone, so you can repeat a run exactly; it is computed for a whole batch at once,
# on the GPU where there is one.
#
# Then we shift and scale each channel by the mean $\mu$ and deviation $\sigma$ of the published set, the first column
# of {numref}`tab-01-levels`:
#
# $$x' = \frac{x - \mu}{\sigma}$$

# %% tags=["remove-output", "hide-input"]
spirals = np.flatnonzero(np.isin(galaxies.labels, (5, 7)))[:2]
preprocess, augment = Preprocess(), Augment()
panels, titles = [], []
for row in spirals:
    stored = torch.from_numpy(galaxies.read([row]))
    panels.append(stored[0].numpy())
    titles.append("as stored\n")
    for epoch in range(5):
        changed = augment(preprocess.unit(stored), seed=seed, epoch=epoch, rows=[row])
        angle, mirror, upend, *_ = augment.draw(seed=seed, epoch=epoch, rows=[row])[0].tolist()
        panels.append(changed[0].permute(1, 2, 0).numpy())
        titles.append(f"epoch {epoch + 1}\n{angle:+.0f}°" + " ↔" * bool(mirror) + " ↕" * bool(upend))
report.figure("augmented", image_grid(panels, titles=titles, columns=6))

# %% [markdown]
# ```{glue:figure} augmented
# :alt: Two rows of six pictures. The first of each row is a spiral galaxy as stored; the other five show it turned by various angles, some of them mirrored, slightly brighter or darker. Rotation leaves black corners.
# :name: fig-01-augmented
#
# Two {glue:text}`kind` spirals as stored, and as the network meets them in its first five epochs: rotated
# by the angle given, flipped where an arrow says so. The black corners are what a rotation uncovers.
# ```
#
# ## The truth behind a simulated galaxy
#
# Of a real galaxy we know what volunteers said. Of a simulated one we know everything: how tight its arms
# are wound, how much of its light is in the bar, how far apart two merging galaxies lie. The simulator
# draws these numbers first, class by class. Then it makes the picture, step by step
# ({numref}`fig-01-steps`): it paints the galaxy's light in three bands, adds neighbours and stars, blurs it
# all as the atmosphere does (with GalSim {cite}`rowe2015`), and finally puts noise, the survey's colour
# stretch and JPEG on top.
#
# The simulator is at version {glue:text}`simulator_version`. Its second version added what the first had left out of
# real galaxies: smooth galaxies inside faint halos, discs without arms, mergers that have only begun or whose members
# are unequal, streams of torn-off stars, warped edge-on discs, fat bars, and tight arms far enough apart to be seen.

# %% tags=["remove-output", "hide-input"]
steps, titles = [], []
for label in (5, 7):
    rng = np.random.default_rng(seed + 1)
    scene, parameters = galaxy(CLASS_RECIPES[label], rng)
    steps.append(viewer_colours(frame(scene)))
    paint_field(scene, FIELD, parameters["half_light_radius"], rng)
    seen = blurred(scene, fwhm=CAMERA.seeing.median, camera=CAMERA)
    steps += [viewer_colours(frame(scene)), viewer_colours(frame(seen))]
    steps.append(draw(label, seed=seed + 1)[0])
    titles += [
        f"the galaxy\n({CLASS_NAMES[label]})",
        "with its neighbours\n",
        "through the air\n",
        "as the survey has it\n",
    ]
report.number("simulator_version", VERSION)
report.figure("steps", image_grid(steps, titles=titles, columns=4, pixels=220))

# %% [markdown]
# ```{glue:figure} steps
# :alt: Two rows of four pictures. From left to right: a sharp spiral galaxy alone on grey sky; the same with stars and small galaxies around it; the same blurred; and the same with noise, as in the file.
# :name: fig-01-steps
#
# How a simulated galaxy is made: a barred and a loose spiral, from the light alone to the picture in the file.
# ```

# %% tags=["remove-output", "hide-input"]
drawn = (
    galaxies if galaxies.simulated else open_data("simulated", outputs=outputs, simulated=compared, seed=seed)
)
truth, drawn_class = drawn.truth, np.array(CLASS_NAMES)[drawn.labels]
told = (
    (5, "bar_fraction", "bar {:.0%} of light"),
    (6, "arm_pitch", "pitch {:.0f}°"),
    (7, "arm_pitch", "pitch {:.0f}°"),
    (9, "bulge_fraction", "bulge {:.0%} of light"),
    (1, "separation", "{:.0f} arcsec apart"),
)
large = truth["half_light_radius"] >= truth["half_light_radius"].groupby(drawn.labels).transform("median")
rows, titles = [], []
for k, name, words in told:
    fitting = np.flatnonzero((drawn.labels == k) & large & truth[name].notna())
    if len(fitting):
        rows.append(generator.choice(fitting))
        titles.append(wrap(CLASS_NAMES[k]) + "\n" + words.format(truth[name][rows[-1]]))
report.figure("told", image_grid(drawn.read(rows), titles=titles, columns=5))

# %% [markdown]
# ```{glue:figure} told
# :alt: Five simulated galaxies, each with one true number above it: a barred spiral with the bar's share of the light, a tight and a loose spiral with the pitch of their arms, an edge-on disc with its bulge's share of the light, and a merging pair with its separation.
# :name: fig-01-told
#
# Five of the larger simulated galaxies, and one true parameter of each. The pitch is the angle at which an
# arm leaves the circle.
# ```

# %% tags=["remove-output", "hide-input"]
shown = {
    "half_light_radius": "half-light radius (arcsec)",
    "axis_ratio": "axis ratio, short to long",
    "bulge_fraction": "bulge's share of the light",
    "bar_fraction": "bar's share of the light",
    "arm_pitch": "pitch of the arms (degrees)",
    "asymmetry": "asymmetry drawn",
}
fig, axes = plt.subplots(2, 3, figsize=(9.5, 6.4), sharey=True)
for axis, (column, label) in zip(axes.flat, shown.items(), strict=True):
    values = [truth[column][drawn.labels == k].dropna() for k in range(10)]
    boxes = axis.boxplot(
        values, orientation="horizontal", widths=0.65, whis=(5, 95), showfliers=False, patch_artist=True,
        medianprops={"color": "black"},
    )  # fmt: skip
    for box, name in zip(boxes["boxes"], CLASS_NAMES, strict=True):
        box.set_facecolor(CLASS_COLOURS[name])
    axis.set_yticks(range(1, 11), CLASS_NAMES, fontsize=8)
    axis.set_xlabel(label)
axes[0, 0].set_ylim(10.6, 0.4)
report.figure("truth", fig)
report.data("truth_medians", truth.groupby(drawn_class).median().to_dict(orient="index"))

# %% [markdown]
# ```{glue:figure} truth
# :alt: Six panels of box plots, one box a class. Axis ratios fall from Round over In-between to Cigar and the edge-on classes; pitch rises from Tight over Barred to Loose; only barred spirals have much light in a bar; disturbed galaxies are the most asymmetric. Neighbouring classes overlap.
# :name: fig-01-truth
#
# True parameters of {glue:text}`n_drawn:,` simulated galaxies. Boxes hold the middle half of the values, whiskers
# nine tenths; a parameter without meaning for a class has no box. Neighbouring classes overlap on purpose, as the
# volunteers' answers do.
# ```
#
# ## Are they like real galaxies?
#
# A network trained on simulated galaxies learns the simulator's habits along with galaxies. So we measure
# the simulated images beside real ones of the same classes: {glue:text}`real_source`.

# %% tags=["hide-input"]
report.number("n_drawn", len(drawn))
found_real = real if real is not None else (None if galaxies.simulated else galaxies)
if found_real is not None:
    rows = np.sort(generator.permutation(len(found_real))[:compared])
    real_images = found_real.read(rows)
    real_look = portrait(real_images) | {
        "classes": np.bincount(found_real.labels[rows], minlength=10).tolist()
    }
    source = f"{len(rows):,} real images of {found_real.path.name}"
else:
    real_images, real_look = None, measured["sample"]
    source = f"{real_look['images']} real Galaxy10 DECaLS images, measured once beforehand"
report.number("real_source", source)
alike = rows_alike(drawn.labels, real_look["classes"], at_most=compared, seed=seed)
simulated_images = drawn.read(alike)
simulated_look = portrait(simulated_images)
report.data("simulated_look", simulated_look)
report.data("real_look", real_look)

# %% tags=["remove-output", "hide-input"]
levels = pd.DataFrame(
    {
        "published set": [*MEAN, *STD],
        "real images here": [*real_look["mean"], *real_look["deviation"]],
        "simulated": [*simulated_look["mean"], *simulated_look["deviation"]],
    },
    index=pd.MultiIndex.from_product([["mean", "deviation"], ["red (z)", "green (r)", "blue (g)"]]),
).round(3)
report.table("levels", levels)
report.number("n_alike", len(alike))

# %% [markdown]
# ```{glue:figure} levels
# :name: tab-01-levels
#
# Mean and standard deviation of each channel on the scale 0 to 1: of the whole published set, of the
# {glue:text}`real_source`, and of {glue:text}`n_alike` simulated images with the same mixture of classes.
# ```

# %% tags=["remove-output", "hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.6))
sides = (("simulated", simulated_look, ACCENT), ("real", real_look, CONTRAST))
for name, look, colour in sides:
    low, middle, high = look["profile_16_50_84"]
    axes[0].plot(look["radius_arcsec"], middle, color=colour, label=name)
    axes[0].fill_between(look["radius_arcsec"], low, high, color=colour, alpha=0.2, linewidth=0)
    axes[1].scatter(*np.transpose(look["colours"]), s=12, color=colour, alpha=0.6, linewidths=0, label=name)
    low, middle, high = look["power_16_50_84"]
    axes[2].plot(look["frequency_per_pixel"], middle, color=colour, label=name)
    axes[2].fill_between(look["frequency_per_pixel"], low, high, color=colour, alpha=0.2, linewidth=0)
axes[0].set(xlabel="radius (arcsec)", ylabel="brightness (0 to 1)")
axes[1].set(xlabel="g - r (mag)", ylabel="r - z (mag)", xlim=(0.1, 1.4), ylim=(0, 0.9))
axes[2].set(xlabel="frequency (cycles a pixel)", ylabel="power", xscale="log", yscale="log")
axes[0].legend()
report.figure("realism", fig)

# %% [markdown]
# ```{glue:figure} realism
# :alt: Three panels with simulated galaxies in blue and real ones in red. Left, brightness falls with radius from the centre to the sky, the two bands overlapping. Middle, the colours g minus r against r minus z lie along one diagonal cloud. Right, the power spectra fall together over four decades.
# :name: fig-01-realism
#
# Simulated against real galaxies ({glue:text}`real_source`). Left: brightness against distance from the
# centre, median and middle two thirds. Middle: colours of the inner four arcsec, the survey's stretch undone.
# Right: power at each spatial frequency.
# ```
#
# Average curves can agree while single images differ. Can a machine tell the two apart, image by image? We give a
# logistic regression some seventy numbers of each image (brightness, profile, colours, spectrum) and let it judge
# images that it has not seen. Were the simulation perfect, it would be right half of the time.

# %% tags=["hide-input"]
if real_images is not None:
    pick = rows_alike(drawn.labels, real_look["classes"], at_most=len(real_images), seed=seed)
    apart = tell_apart(drawn.read(pick), real_images, seed=seed)
    right, judged, auc = apart.right, apart.n, apart.auc
else:
    # Measured beforehand against several sets of simulated galaxies: their mean.
    sets = measured["told_apart"]
    right = round(np.mean([one["right"] for one in sets]))
    judged, auc = sets[0]["n"], float(np.mean([one["auc"] for one in sets]))
report.number(
    "apart_drawn_by",
    f"version {VERSION if real_images is not None else measured['provenance']['simulator_version']}",
)
low, high = wilson(right, judged)
report.number("apart_right", right)
report.number("apart_n", judged)
report.number("apart_share", right / judged)
report.number("apart_low", low)
report.number("apart_high", high)
report.number("apart_auc", auc)
report.number(
    "apart_verdict",
    "the simulated galaxies can still be recognised as simulated"
    if low > 0.5
    else "this judge cannot tell simulated galaxies from real ones",
)

# %% [markdown]
# It is right for {glue:text}`apart_right` of {glue:text}`apart_n` images, or {glue:text}`apart_share:.0%`
# (95 % interval {glue:text}`apart_low:.0%` to {glue:text}`apart_high:.0%`; area under the curve
# {glue:text}`apart_auc:.2f`, where one half is a coin toss). The simulated images came from
# {glue:text}`apart_drawn_by` of the simulator. So {glue:text}`apart_verdict`. Part of the difference may lie outside
# the galaxies: real images that pass from hand to hand are often saved as JPEG more than once.
#
# ## Does a network trained on them know real galaxies?
#
# The decisive test: train with no real label at all, then judge real images. It takes too long for a chapter, so a
# benchmark ran it beforehand and this page quotes the result.

# %% tags=["remove-output", "hide-input"]
benchmark = repository("benchmarks/results") / "sim_to_real.json"
result = json.loads(benchmark.read_text(encoding="utf-8")) if benchmark.exists() else None
report.table("sim_to_real", accuracy_table(result))

# %% tags=["remove-output", "hide-input"]
fig, axis = plt.subplots(figsize=(7.2, 3.6))
if result:
    trained, seeds = result["simulated"]["training"], len(result["real"]["accuracy_per_seed"])
    report.number(
        "sim_to_real_how",
        f"{seeds} networks, each trained on {trained:,} galaxies that version "
        f"{result['simulated']['version']} of the simulator drew; means over them",
    )
    low, high = result["real"]["wilson_95"]
    report.number(
        "sim_to_real_found",
        f"{result['real']['accuracy']:.1%} of {result['real']['n']} real galaxies ({low:.1%} to {high:.1%})",
    )
    axis.barh(CLASS_NAMES, [100 * result["real"]["recall"][name] for name in CLASS_NAMES],
              color=[CLASS_COLOURS[name] for name in CLASS_NAMES])  # fmt: skip
    axis.scatter([100 * result["in_domain"]["recall"][name] for name in CLASS_NAMES], CLASS_NAMES, color="black",
                 marker="|", s=180)  # fmt: skip
else:
    report.number("sim_to_real_how", "not measured yet")
    report.number("sim_to_real_found", "a share of real galaxies not measured yet")
    axis.text(50, 4.5, "not measured yet", ha="center")
    axis.set_yticks(range(10), CLASS_NAMES)
axis.invert_yaxis()
axis.set(xlabel="recall (%)", xlim=(0, 100))
report.figure("recall", fig)

# %% [markdown]
# ```{glue:figure} sim_to_real
# :name: tab-01-sim-to-real
#
# From simulated to real: {glue:text}`sim_to_real_how`. The networks judge each image in its eight orientations. The
# intervals are Wilson's, for the number of images.
# ```
#
# ```{glue:figure} recall
# :alt: Horizontal bars, one a class: the share of its real galaxies that networks trained on simulated ones recognise, with a tick for simulated galaxies.
# :name: fig-01-recall
#
# Share of each class's galaxies that the networks recognise: of real ones, of which they saw none in training (bars),
# and of held-out simulated ones (ticks). With five or ten real images a class, chance alone can move a bar by ten
# points and more.
# ```
#
# We kept one rule: no label of a real Galaxy10 image chose the network or its training. We chose both on simulated
# galaxies, and watched Galaxy Zoo 2 images of another survey beside them. We judge the averaged weights of the last
# step, and read the labels of the real images when all networks were finished: once, and once more for the three
# trainings below. But the rule is not the whole history: the simulator's recipes for the classes came from a
# prototype that had been scored on real labelled images, so these {glue:text}`n_sample:d` are not strangers to it.
#
# The cure is a *blind test*: {glue:text}`n_blind:d` other real images of Galaxy10 DECaLS that nobody who makes the
# weights has. Somebody else scores the shipped networks on them:

# %% tags=["remove-output", "hide-input"]
blind_test = json.loads(repository("benchmarks/results/blind_test.json").read_text(encoding="utf-8"))
cards = sorted(repository("galaxylib/weights").glob("*/checkpoint.json"))
brought = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in cards}
brought = {name: about for name, about in brought.items() if about["task"]["name"] == "galaxy10"}
report.number("n_sample", max(about["results"]["real"]["plain"]["n"] for about in brought.values()))
report.number("n_blind", max(row["n"] for row in blind_test["rows"]))
report.table("blind_test", blind_table(brought, blind_test))

# %% [markdown]
# ```{glue:figure} blind_test
# :name: tab-01-blind
#
# The blind test of the networks that come with the book: share of real images named correctly, one look at each,
# with Wilson's 95 % interval.
# ```
#
# How much of such a figure is the luck of one training? We trained the small networks again and again, each time with
# other random numbers, and judged all of them ({numref}`tab-01-seeds`; the first training of each came with the
# book). {glue:text}`seeds_said`

# %% tags=["remove-output", "hide-input"]
seeds = json.loads(repository("benchmarks/results/real_seeds.json").read_text(encoding="utf-8"))
report.table("seeds", seeds_table(seeds))
report.number("seeds_said", seeds_in_words(seeds))

# %% [markdown]
# ```{glue:figure} seeds
# :name: tab-01-seeds
#
# Several trainings of one recipe on real images: the {glue:text}`n_sample:d` of Galaxy10 and, of the SDSS, held-out
# galaxies with votes and with coarse classes (explained below). In each cell the mean over the trainings, with a 95 %
# interval for the chance of the galaxies and of the trainings, and then what the mean of their probabilities gets
# right.
# ```
#
# ## What real galaxies of another survey teach
#
# A network cannot learn from the simulator what the simulator does not draw. Real galaxies show it, and some outside
# Galaxy10 come with the volunteers' judgement: images of the Sloan Digital Sky Survey (SDSS) with the votes of Galaxy
# Zoo 2, and others with one of five coarse classes of Galaxy Zoo 1. A network can learn from both beside the
# simulated ones: votes give each class a share, a coarse class says "one of these". First we bring these images to
# the frame, the colours and the sky of Galaxy10's, which come from the Legacy Surveys' viewer.
#
# {numref}`tab-01-taught` adds the parts one by one. Every run starts from the same small network (checkpoint
# {glue:text}`taught_start`) and passes {glue:text}`taught_epochs` times over {glue:text}`taught_galaxies` simulated
# galaxies, the real ones beside them: {glue:text}`taught_learned_gz2` with votes, {glue:text}`taught_learned_gz1`
# with coarse classes. We hold back a quarter of both sets, chosen by a hash of each galaxy's number, and score the
# networks on it: {glue:text}`taught_held_gz2` galaxies with votes and {glue:text}`taught_held_gz1` with coarse
# classes. One run sees smaller images. In another, the network trained on both surveys labels images of the Legacy
# Surveys that have no label; labels with at least {glue:text}`taught_sure` probability join the next training.

# %% tags=["remove-output", "hide-input"]
benchmark = repository("benchmarks/results") / "real_galaxies.json"
taught = json.loads(benchmark.read_text(encoding="utf-8")) if benchmark.exists() else None
for name, value in real_galaxies.facts(taught).items():
    report.number(f"taught_{name}", value)
report.table("taught", real_galaxies.score_table(taught))
report.table("taught_pairs", real_galaxies.pair_table(taught))
report.table("taught_statistics", real_galaxies.statistics_table(taught))
report.number("taught_findings", real_galaxies.findings(taught))
report.number("taught_by_seeds", real_galaxies.seeds_in_words(taught))

# %% [markdown]
# ```{glue:figure} taught
# :name: tab-01-taught
#
# What each part brings: share of held-out galaxies named as the volunteers named them, with Wilson's 95 % interval,
# and its mean over classes or groups. Votes are clear where at least half of them speak for one class. The networks
# see the SDSS's images in the colours of the Legacy Surveys' viewer unless the row says otherwise; their BatchNorm
# statistics (explained below) come from simulated and real images. Measured {glue:text}`taught_made`:
# {glue:text}`taught_seeds`.
# ```
#
# None of this is an accuracy on Galaxy10: the images are the SDSS's, the answers are votes, and this project chose
# how votes become Galaxy10's classes ([the chapter on votes](07_votes.ipynb)). No label of a Galaxy10 image takes
# part. Most intervals of the table overlap; but all runs judge the same galaxies, so we can compare two of them
# galaxy by galaxy ({numref}`tab-01-taught-pairs`). {glue:text}`taught_findings` {glue:text}`taught_by_seeds`
#
# ```{glue:figure} taught_pairs
# :name: tab-01-taught-pairs
#
# Two runs on the same galaxies: how many only the first names as the volunteers did (gained), how many only the
# second does (lost), and McNemar's p: how likely a split so uneven would be if both were equally good. The sentence
# above multiplies p by the number of comparisons.
# ```
#
# One part costs no training at all. BatchNorm scales each channel by the mean and deviation it met in training; we
# can measure these anew on other images and leave the weights alone ({numref}`tab-01-taught-statistics`).
#
# ```{glue:figure} taught_statistics
# :name: tab-01-taught-statistics
#
# The same weights with statistics measured on simulated images, on real ones without their labels, and on both in
# equal parts; scores as in {numref}`tab-01-taught`.
# ```
#
# By these held-out votes and classes we made four choices for the networks that come with the book: the simulator's
# second version, the share of real images, the statistics of BatchNorm and, for the two networks of full width, the
# mean of two trainings. So these scores flatter the networks that come with the book. We had also looked once at the
# pictures of the {glue:text}`n_sample:d` Galaxy10 galaxies, without labels but in the file's order, which goes by
# class. Only the blind test is free of both.
#
# ## Reading without waiting
#
# The pictures of the published set take {glue:text}`unpacked_gb:.1f` GB. This book never loads them all: it
# opens the file in {glue:text}`opening_ms:.0f` milliseconds with {glue:text}`opening_mb:.0f` MB of memory, and reads
# the rows of each batch shortly before the network needs them.

# %% tags=["remove-output", "hide-input"]
reading = json.loads(repository("benchmarks/results/reading.json").read_text(encoding="utf-8"))
report.number("unpacked_gb", published.sum() * 256 * 256 * 3 / 1e9)
report.number("opening_ms", 1000 * reading["opening"]["seconds"])
report.number("opening_mb", reading["opening"]["peak_megabytes"])
report.number("reading_images", reading["images"])
report.number("training_speed", reading["quick_training_images_per_second"])
report.number("block_speed", reading["blocked_layout"]["rows_at_random_per_second"])
report.number("unpack_minutes", reading["images"] / reading["blocked_layout"]["unpack_per_second"] / 60)
speeds = pd.DataFrame(
    {
        "images a second": {name: f"{value:,.0f}" for name, value in reading["images_per_second"].items()},
        "this book's reader is": {
            name: f"{value:.1f} x as fast" for name, value in reading["galaxylib_over"].items()
        },
    }
)
report.table("speeds", speeds)

# %% [markdown]
# ```{glue:figure} speeds
# :name: tab-01-speeds
#
# Random batches from a file of {glue:text}`reading_images:,` images on two cores, all of it in the
# system's cache: this book's reader, the usual Dataset that asks h5py for one row at a time, and torchvision's
# ImageFolder of PNG files. The quick network of this book trains on {glue:text}`training_speed:.0f` images a second,
# so it spends next to no time waiting.
# ```
#
# One trap remains. A file compressed in blocks of several hundred images, as `h5py` does by default, gives
# {glue:text}`block_speed:.1f` images a second in random order, because each one costs a whole block. So the book
# unpacks such a file once, in {glue:text}`unpack_minutes:.1f` minutes for the whole set, into a copy that every later
# run finds.
#
# ## In short
#
# - Ten classes with soft borders and unequal numbers: read the macro F1, and each class by itself.
# - Some galaxies come twice, under two names: split by sky group.
# - Simulated galaxies are a stand-in. Every figure of this book says whether its galaxies are simulated or real, and
#   every chapter runs on the real file with one parameter: `-p data Galaxy10_DECals.h5`, after `galaxylib fetch`.

# %% tags=["remove-output"]
report.save()
