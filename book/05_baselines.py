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
# # The other networks
#
# Here the networks of the source papers learn from the same galaxies and the same split as DMAGNet, with as many
# passes over them, and judge the same test galaxies: once at length, in a reference run whose results this page
# quotes, and once live, for a few minutes. Unless you give a file, the galaxies are simulated, and no figure computed
# here is a result on Galaxy10 DECaLS; the figures that the papers print for real galaxies stand beside ours, under
# their own name. Stars and artefacts are drawn even with a real file.

# %% tags=["parameters"]
data: str = "simulated"  # "simulated", or the path of a Galaxy10 HDF5 file
profile: str = "default"  # name of the profile that set these parameters: smoke, default, reference or paper
seed: int = 0  # of the galaxies, the split and the first training
outputs: str = "_build/results/default"  # folder for results
simulated: int = 4000  # galaxies to draw when data is "simulated"
networks: str = "dmagnet, convnet, five_block, resnet18"  # registered names, timm's names or "module:Class", by comma; DMAGNet first
train_images: int = 1400  # training galaxies, the same for all networks; 0 for all that there are
epochs: int = 5  # passes over the training images, the same for all networks
seeds: int = 1  # trainings of each network
width: float = 0.25  # factor on DMAGNet's channels; 1.0 is the paper
largest: int = 48  # pixels a side at most that DMAGNet, the five blocks, ResNet-18 and AlexNet read
batch_size: int = 32  # images a step
experiments: str = "plain loss"  # by comma, beside the printed recipes; "all" for every one
trial_images: int = 800  # training images of each small experiment
trial_epochs: int = 4  # passes over them
five_size: int = 32  # pixels a side that the five-block CNN reads in the experiments; 128 is its own
own_epochs: int = 0  # passes of DMAGNet under its own recipe, and a second round; 0 leaves it out
stage_epochs: int = 12  # passes at most of each of the five-block CNN's two stages; 50 is its own
others: int = 180  # stars to draw, and as many artefacts; a third of them to test

# %% tags=["hide-input"]
import json
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scipy.stats import false_discovery_control

# %% tags=["hide-input"]
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.evaluation.predictions import confusion, scores
from galaxylib.networks.registry import entry
from galaxylib.paper import reference_page
from galaxylib.paper.ablations import PARTS, PARTS_WIDTH, part_changes
from galaxylib.paper.comparison import contend, mcnemar, recipe_for, results_table, right, three_ways
from galaxylib.paper.conditions import TURNED
from galaxylib.paper.error_analysis import confused_pairs
from galaxylib.paper.experiments import (
    HIERARCHY_OF_NINE,
    OTHER_SEEDS,
    STAGED,
    WEAK_DOUBLED,
    WHOLE_IMAGE,
    Views,
    beside_printed,
    changes,
    chosen_experiments,
    own_rows,
    planned,
    recalls,
    run_planned,
    shown_changes,
    stage_rows,
    weak_doubled,
    weak_in_words,
    weakest,
)
from galaxylib.paper.figures import ACCENT, CONTRAST, accuracy_figure, image_grid, style
from galaxylib.paper.halved import halved_in_words, halved_rows, halved_shown
from galaxylib.paper.hierarchy import hierarchy_probabilities, run_hierarchy

# %% tags=["hide-input"]
from galaxylib.paper.parameters import as_declared, repository
from galaxylib.paper.progress import steps
from galaxylib.paper.reference import BASES, HALVED, Reference, differences, network_rows, reference_changes
from galaxylib.paper.report import Report
from galaxylib.paper.trials import probabilities, run_trial
from galaxylib.paper.two_answers import OTHERS, OtherObjects, answered, merged, questions
from galaxylib.paper.workspace import open_data, open_split
from galaxylib.simulate.artefacts import ARTEFACTS, STAR
from galaxylib.training.recipes import PAPER_RECIPE, QUICK

# %% tags=["hide-input"]
style()
globals().update(as_declared(globals()))
report = Report(outputs, "05_baselines")
galaxies = open_data(data, outputs=outputs, simulated=simulated, seed=seed)
split = open_split(galaxies, outputs=outputs, seed=seed)
kind = "simulated" if galaxies.simulated else "real"
if train_images:
    kept = np.random.default_rng(seed).permutation(split.train)[:train_images]
    split = replace(split, train=np.sort(kept))
report.number("kind", kind)
report.number("n_train", len(split.train))
report.number("n_test", len(split.test))
report.number("width", width)
report.number("seeds", seeds)
report.number("budget_text", f"{epochs} epoch{'s' * (epochs > 1)}")

# %% [markdown]
# ## What is compared
#
# The counts of parameters follow from the printed layers: ConvNet's table I, Negm's table II and Kim & Brunner's
# table III of one paper, and the five blocks of another. The project's tests check these layers one by one. With ten
# answers instead of two, and three bands instead of five, Negm's and Kim & Brunner's have other counts than their tables.
# Each network reads the part of the image that its source prescribes. Where a source works on images of another size
# (Negm, Kim & Brunner), we reduce a central part of ours by a whole factor to that size. To add a network to the
# table, name it in the parameter `networks`: `negm`, `kim_brunner` or `alexnet` of those papers (where the table
# lacks them, this profile left them out to save time), an architecture of timm's such as `convnext_atto`, or your own
# as `mypackage.models:MyNet`, any `torch.nn.Module` with ten outputs.

# %% tags=["hide-input"]
names = [name.strip() for name in networks.split(",")]
base = QUICK.but(width=width, batch_size=batch_size, epochs=epochs, seed=seed)
recipes = {name: recipe_for(name, base, largest=largest) for name in names}
described = pd.DataFrame(
    {
        "network": entry(name).title,
        "source": entry(name).source,
        "crop, px": recipe.crop,
        "input, px": recipe.size,
        "printed input, px": entry(name).size,
    }
    for name, recipe in recipes.items()
).set_index("network")

# %% tags=["remove-output", "hide-input"]
report.table("contenders", described)

# %% [markdown]
# ```{glue:figure} contenders
# :name: tab-05-contenders
#
# The networks, where they come from and what they read of an image of 256 pixels a side. Where the input here is
# smaller than the printed one, we reduced it to save time.
# ```
#
# ## The reference run
#
# A page that runs in minutes ranks networks by how they begin to learn. So we trained all networks once for longer,
# each from up to three first weights, before we built the book: on {glue:text}`ref_train:,` simulated galaxies, with
# {glue:text}`ref_epochs` passes each, DMAGNet at its full width, and images of {glue:text}`ref_size` pixels a side
# for every network that accepts this size. The run was made on {glue:text}`ref_machine`;
# `benchmarks/reference.py` repeats it, and its records lie in `benchmarks/results/reference`.
# {glue:text}`ref_progress`

# %% tags=["hide-input"]
reference = Reference.read()
about, ref_rows = reference.about, network_rows(reference, "networks")
report.data("reference", ref_rows)
report.number("ref_train", about["n_train"])
report.number("ref_test", about["n_test"])
report.number("ref_epochs", max(row["epochs"] for row in ref_rows))
report.number("ref_size", about["largest"])
report.number("ref_machine", reference.machines("networks"))
report.number("ref_progress", reference_page.progress_in_words(reference))
ref_pairs = differences(
    reference, "networks", against={row["name"]: "dmagnet" for row in ref_rows if row["name"] != "dmagnet"}
)
report.data("reference_differences", ref_pairs)
report.number("ref_others", len(ref_pairs))
n_others = len(about["planned"]["networks"]) - 1
than_dmagnet = ("are better than DMAGNet", "are worse")
report.number("ref_said", reference_page.changes_in_words(ref_pairs, planned=n_others, verbs=than_dmagnet))
ref_best = max(ref_rows, key=lambda row: row["accuracy"])
report.number("ref_best", ref_best["network"])
report.number("ref_best_accuracy", ref_best["accuracy"])
largest_class = np.bincount(reference.labels).max() / len(reference.labels)
report.number("ref_guess", float(largest_class))
flat = [row["last_change"] for row in ref_rows if row["last_change"] is not None]
report.number("ref_falling", min(flat, default=0.0))
report.number("ref_rising", max(flat, default=0.0))

# %% tags=["remove-output", "hide-input"]
report.table("reference_networks", reference_page.networks_shown(ref_rows))
first_histories = {name: pd.DataFrame(runs[0].history) for name, runs in reference.of("networks").items()}
ref_curves = {name: (one["epoch"], one["validation_accuracy"]) for name, one in first_histories.items()}
along = "pass over the training images"
report.figure("reference_accuracy", accuracy_figure(ref_rows, ref_curves, along=along))

# %% [markdown]
# ```{glue:figure} reference_networks
# :name: tab-05-reference
#
# The reference run, judged on {glue:text}`ref_test:,` simulated test galaxies, of which the largest class is
# {glue:text}`ref_guess:.1%`. Each figure is a mean over the trainings; brackets hold 95 % intervals that cover the
# chance of the galaxies and, as soon as enough networks were trained again, that of the first weights.
# ```
#
# ```{glue:figure} reference_accuracy
# :alt: Two plots that share their vertical axis, accuracy from 0 to 100 per cent. On the left one point with an error bar for each network over its number of parameters on a logarithmic axis. On the right one curve for each network, its accuracy on the validation galaxies over the passes, rising steeply at first and levelling out.
# :name: fig-05-reference
#
# The reference run: accuracy against the number of parameters (left, with 95 % intervals) and against the passes
# (right, the first training of each network), on simulated galaxies.
# ```
#
# The best of them is **{glue:text}`ref_best`** with {glue:text}`ref_best_accuracy:.1%` right. Over the last three
# passes the validation losses changed by {glue:text}`ref_falling:+.3f` to {glue:text}`ref_rising:+.3f`. What follows
# therefore holds after {glue:text}`ref_epochs` passes over {glue:text}`ref_train:,` simulated galaxies.
# {glue:text}`ref_said`

# %% tags=["remove-output", "hide-input"]
report.table("reference_pairs", reference_page.differences_shown(ref_pairs, what="network, minus DMAGNet"))

# %% [markdown]
# ```{glue:figure} reference_pairs
# :name: tab-05-reference-pairs
#
# Each network of the reference run minus DMAGNet, galaxy by galaxy. *Overfitting* is the accuracy on the training
# images minus that on the test galaxies. Brackets hold simultaneous 95 % intervals: all
# {glue:text}`ref_others` lines of a column hold together.
# ```
#
# Is {glue:text}`ref_epochs` passes enough? The learning rate falls to nearly nothing in each of these trainings, so a
# loss that is flat at the end does not prove it. We therefore trained every network as often with half the passes,
# to see what the second half brings ({glue:text}`half_machine`). {glue:text}`half_said` What still more passes would
# bring, we have not tried.

# %% tags=["remove-output", "hide-input"]
halved = halved_rows(reference)
report.data("reference_halved", halved)
report.number("half_machine", reference.machines(HALVED) if halved else "no machine yet")
report.number("half_said", halved_in_words(halved, planned=len(about["planned"]["networks"])))
report.table("halved", halved_shown(halved))

# %% [markdown]
# ```{glue:figure} halved
# :name: tab-05-halved
#
# The accuracy of each network of the reference run after half the passes and after all, on the same test galaxies, and
# the difference with simultaneous 95 % intervals. The last two columns say by how much the validation loss still
# changed, in nats, over the last three passes of either training.
# ```
#
# ## Do DMAGNet's own parts help?
#
# The DMAGNet paper says that kernels of several reaches (DLK, MS-FFN) and attention (AFF, LAM, the weighted pooling
# of the head) help, and tests none of them. Here we leave out each in turn and keep all else alike: the same
# galaxies, the same passes, the same first weights where both networks have them. To afford so many trainings the
# network has {glue:text}`parts_width` of its channels, and each training {glue:text}`parts_epochs` passes.

# %% tags=["hide-input"]
part_rows = part_changes(reference)
report.data("reference_parts", part_rows)
report.number("parts_width", PARTS_WIDTH)
report.number("parts_epochs", max(row["epochs"] for row in network_rows(reference, "parts")))
report.number("parts_said", reference_page.changes_in_words(part_rows, planned=len(PARTS)))

# %% tags=["remove-output", "hide-input"]
report.table("parts", reference_page.differences_shown(part_rows, what="left out"))

# %% [markdown]
# ```{glue:figure} parts
# :name: tab-05-parts
#
# DMAGNet without one of its parts, minus the whole network, in the reference run: a negative accuracy says that the
# part helps. Brackets hold simultaneous 95 % intervals: all lines of a column hold together.
# ```
#
# {glue:text}`parts_said` This is no verdict on the network at its full width, on images of its full size, or on
# real galaxies.
#
# ## Equally many images for all, live
#
# From here on, where no other source is named, this page shows what its own run computed. Each network gets
# {glue:text}`budget_text` on {glue:text}`n_train:,` {glue:text}`kind` galaxies, with the training chapter's recipe:
# AdamW, one cycle of the learning rate, smoothed labels, rotations and flips. Each network has its own highest
# learning rate, because networks without batch normalisation diverge at a high one. AlexNet also has a larger batch
# of its own, because an update of its many weights takes longer than an image. The table gives the time beside the
# scores. DMAGNet is built at {glue:text}`width` of its channels.

# %% tags=["hide-input"]
outcomes = {}
trainings = [(name, turn) for name in names for turn in range(seeds)]
for name, turn in steps(trainings, label=lambda one: f"training {one[0]}"):
    recipe = recipes[name].but(seed=seed + turn)
    outcome = contend(galaxies, split, recipe, folder=outputs)
    outcomes.setdefault(name, []).append(outcome)
    print(
        f"{outcome.title}: {recipe.epochs} epochs in {outcome.summary['seconds']:.0f} s, "
        f"{right(outcome.predictions).mean():.1%} right",
        flush=True,
    )

# %% tags=["hide-input"]
table = results_table(outcomes)
report.data("results", table.reset_index(names="name").to_dict(orient="records"))
recall, pairs = {}, {}
for name, runs in outcomes.items():
    judged = scores(runs[0].predictions, resamples=1)
    recall[name] = {row["name"]: row["recall"] for row in judged["per_class"]}
    pairs[name] = confused_pairs(confusion(runs[0].predictions))[0]["pair"]
report.data("recall", recall)
report.data("most_confused", pairs)
best = table["accuracy"].idxmax()
report.number("best", table.loc[best, "network"])
report.number("best_accuracy", table.loc[best, "accuracy"])
report.number("first", table["network"].iloc[0])
report.number("first_accuracy", table["accuracy"].iloc[0])
shown = pd.DataFrame(
    {
        "accuracy, %": [
            f"{100 * row.accuracy:.1f} [{100 * row.accuracy_low:.1f}, {100 * row.accuracy_high:.1f}]"
            for row in table.itertuples()
        ],
        "macro F1": [
            f"{row.macro_f1:.3f} [{row.macro_f1_low:.3f}, {row.macro_f1_high:.3f}]"
            for row in table.itertuples()
        ],
        "parameters": table["parameters"].map("{:,}".format),
        "MFLOP": table["MFLOP"].map("{:,.0f}".format),
        "trained, images/s": table["trained, images/s"].map("{:,.0f}".format),
        "judged, images/s": table["judged, images/s"].map("{:,.0f}".format),
        "epochs": table["epochs"],
        "seconds": table["seconds"].map("{:.0f}".format),
    }
).set_index(table["network"])

# %% tags=["remove-output", "hide-input"]
report.table("comparison", shown)

# %% [markdown]
# ```{glue:figure} comparison
# :name: tab-05-comparison
#
# All networks after {glue:text}`budget_text` each, judged on the same {glue:text}`n_test:,`
# {glue:text}`kind` test galaxies. Brackets hold 95 % intervals: with one training of each network they cover the
# chance of the test galaxies, with several the scatter between trainings. MFLOP is the arithmetic of one image, a
# multiplication with its addition counted as two.
# ```
#
# Here **{glue:text}`best`** does best, with {glue:text}`best_accuracy:.1%` of the test galaxies right;
# {glue:text}`first` has {glue:text}`first_accuracy:.1%`. A few passes favour what learns fast, not what learns best:
# {numref}`tab-05-reference` has the longer trainings, and the `paper` profile gives every network a long one.

# %% tags=["remove-output", "hide-input"]
curves = {}
for name, runs in outcomes.items():
    history = pd.DataFrame(runs[0].summary["history"])
    curves[name] = history["seconds"].cumsum(), history["validation_accuracy"]
shown_rows = report.content["results"]
report.figure("accuracy", accuracy_figure(shown_rows, curves, along="training time (s)"))

# %% [markdown]
# ```{glue:figure} accuracy
# :alt: Two plots that share their vertical axis, accuracy from 0 to 100 per cent. On the left one point with an error bar for each network over its number of parameters on a logarithmic axis. On the right one curve for each network, its accuracy on the validation galaxies over the training time.
# :name: fig-05-accuracy
#
# Accuracy against the number of parameters (left, with 95 % intervals) and against training time (right; one
# dot an epoch), on {glue:text}`kind` galaxies.
# ```
#
# ## Is the difference more than chance?
#
# When two networks judge the same galaxies, we can compare them galaxy by galaxy: McNemar's test looks at those that
# only one of the two has right.

# %% tags=["hide-input"]
first = names[0]
own = right(outcomes[first][0].predictions)
tests = pd.DataFrame(
    {
        "network": table.loc[name, "network"],
        **mcnemar(own, right(outcomes[name][0].predictions)),
    }
    for name in names[1:]
)
report.data("mcnemar", tests.assign(name=names[1:]).to_dict(orient="records"))
beyond_chance = false_discovery_control(tests["p"]) < 0.05
report.number("first_better", int((beyond_chance & (tests["only_first"] > tests["only_second"])).sum()))
report.number("first_worse", int((beyond_chance & (tests["only_first"] < tests["only_second"])).sum()))
report.number("others", len(tests))
paired = pd.DataFrame(
    {
        f"only {table.loc[first, 'network']} right": tests["only_first"].to_numpy(),
        "only the other right": tests["only_second"].to_numpy(),
        "p": [f"{p:.2g}" for p in tests["p"]],
    },
    index=pd.Index(tests["network"], name="network"),
)

# %% tags=["remove-output", "hide-input"]
report.table("paired", paired)

# %% [markdown]
# ```{glue:figure} paired
# :name: tab-05-mcnemar
#
# McNemar's exact test of {glue:text}`first` against each other network: how many of the
# {glue:text}`n_test:,` {glue:text}`kind` test galaxies only one of the two has right, and how likely chance is to
# split them so unevenly. Where networks were trained several times, we compare the first training of each.
# ```
#
# At the 5 % level, with p corrected for so many tests (Benjamini and Hochberg), this training of {glue:text}`first` is
# better than {glue:text}`first_better` of the {glue:text}`others` others and worse than {glue:text}`first_worse`. That
# ranks trainings, not networks: another seed may turn it round.
#
# ## How 75 % right can have 85 % precision
#
# The ConvNet paper prints accuracy 75 %, precision 85 %, recall 68 % and F1 76 %. With one label a galaxy,
# precision and recall over all classes together both *are* the accuracy: every galaxy that one class misses, another
# claims. So the authors must have computed the printed pair in another way. Two ways are common, and this page's own
# ConvNet shows what each does to the same predictions.

# %% tags=["hide-input"]
subject = "convnet" if "convnet" in outcomes else first
ways = three_ways(outcomes[subject][0].predictions)
report.number("ways_network", table.loc[subject, "network"])
report.number("ways_accuracy", float(right(outcomes[subject][0].predictions).mean()))
report.data("ways", ways.reset_index().to_dict(orient="records"))
for way, short in zip(ways.index, ("micro", "macro", "half"), strict=True):
    for score in ways.columns:
        report.number(f"{short}_{score}", ways.loc[way, score])

# %% tags=["remove-output", "hide-input"]
report.table("three_ways", ways.map("{:.1%}".format))

# %% [markdown]
# ```{glue:figure} three_ways
# :name: tab-05-ways
#
# Three readings of the same {glue:text}`ways_network`, whose accuracy here is
# {glue:text}`ways_accuracy:.1%`, on {glue:text}`kind` galaxies.
# ```
#
# Averaging over the classes moves both figures a little. Asking each class for a probability of one half moves
# them apart, as printed: a galaxy of which the network is unsure gets no label at all, which costs recall
# ({glue:text}`half_recall:.1%`) and spares precision ({glue:text}`half_precision:.1%`). The paper does not say
# which it used; this reading would explain a precision above the accuracy with a recall below it.
#
# ## One thing at a time
#
# Both papers describe in words what else they tried: the whole image instead of its centre, RMSprop instead of Adam,
# more or fewer layers, dropout, weights for rare classes. They also say what they would try next: smaller batches, no
# pooling in the first two blocks, more weight on the weak classes, denoised images, a hierarchy of networks with two
# answers each (first smooth or not, then round, edge-on, spiral, barred and so on: nine networks, their answers
# multiplied). The reference run tries many of these changes, each with several trainings. It sets each beside the
# printed recipe of its network, cut to as many passes: Adam with a rate of 0.001, ConvNet with turns by right angles,
# the five blocks with turns by any angle, flips and weighted classes. The run departs from the papers in four ways.
# The five blocks read {glue:text}`ref_five_size` pixels a side instead of {glue:text}`printed_five_size:d`. ConvNet's
# images are turned anew in every pass, where its paper adds turned copies to each. A fifth convolution would meet
# fewer pixels than its kernel has, so that one is padded. And because a rate that never falls makes the final weights depend on the last
# few steps, the run judges a moving average of the weights, whose memory reaches back
# {glue:text}`ref_averaged:.0f` passes. These trainings ran on {glue:text}`trials_machine`.

# %% tags=["hide-input"]
ref_changes = reference_changes(reference)
report.data("reference_experiments", ref_changes)
as_printed = reference.of("experiments")[BASES["convnet"]][0].recipe
steps_averaged = 1 / (1 - as_printed["averaging"])
report.number("ref_averaged", steps_averaged * as_printed["batch_size"] / about["n_train"])
report.number("ref_five_size", reference.of("experiments")[BASES["five_block"]][0].recipe["size"])
report.number("printed_five_size", entry("five_block").size)
report.number("trials_machine", reference.machines("experiments"))
n_planned = len(reference.about["planned"]["experiments"]) - len(BASES)
report.number("experiments_said", reference_page.changes_in_words(ref_changes, planned=n_planned))

# %% tags=["remove-output", "hide-input"]
report.table("reference_changes", reference_page.differences_shown(ref_changes, what="what is changed"))

# %% [markdown]
# ```{glue:figure} reference_changes
# :name: tab-05-changes
#
# Experiments of the reference run, each minus the printed recipe of its network, on {glue:text}`ref_test:,` simulated
# test galaxies. *Overfitting* is the accuracy on the training images minus that on the test galaxies. Brackets hold
# simultaneous 95 % intervals: all lines of a column hold together.
# ```
#
# {glue:text}`experiments_said`
#
# This page's own run makes {glue:text}`n_made:d` of the {glue:text}`n_experiments:d` experiments, each once and
# small: {glue:text}`trial_images:,` training images, {glue:text}`trial_epochs` epochs. The parameter
# `experiments` adds more.

# %% tags=["hide-input"]
chosen = np.random.default_rng(seed).permutation(split.train)[:trial_images]
report.number("trial_images", len(chosen))
report.number("trial_epochs", trial_epochs)
plans = planned(epochs=trial_epochs, batch_size=batch_size, five_size=five_size, seed=seed)
made = chosen_experiments(plans, experiments)
report.number("n_experiments", len(plans) + 2 - len(BASES) - len(OTHER_SEEDS))
report.number("n_made", len(made) - len(BASES) - len(OTHER_SEEDS))
views = Views(galaxies, {"train": chosen, "validation": split.validation, "test": split.test})
results, judged = run_planned({title: plans[title] for title in plans if title in made}, views)
convnet, five = (plans[title] for title in BASES.values())
ten, small = views.of(convnet), views.of(five)
if HIERARCHY_OF_NINE in made:
    judged[HIERARCHY_OF_NINE] = hierarchy_probabilities(run_hierarchy(convnet, ten["train"]), ten["test"])
print(f"{sum(result.seconds for result in results.values()):.0f} s of training", flush=True)

# %% tags=["hide-input"]
labels, known = ten["test"].labels, small["validation"].labels
# The three classes that the five blocks recognise least among the validation galaxies.
weak = weakest(probabilities(results[BASES["five_block"]].network, small["validation"]), known)
report.number("weak_classes", ", ".join(CLASS_NAMES[label] for label in weak))
doubled = []
if WEAK_DOUBLED in made:
    doubled = weak_doubled(five.but(epochs=2 * trial_epochs), small, weak, seed=seed + 1)
report.data("weak", doubled)
report.number("weak_said", weak_in_words(doubled))

# %% tags=["hide-input"]
hits_by = {title: found.argmax(axis=1) == labels for title, found in judged.items()}
changed = changes(plans, hits_by)
tried = changed.drop(index=[*BASES.values(), *OTHER_SEEDS.values()])
report.data("experiments", changed.reset_index().to_dict(orient="records"))
corrected = false_discovery_control(tried["p"])
report.number("clear_changes", int(((corrected < 0.05) & (tried["change"].abs() > tried["scatter"])).sum()))
report.number("changes", len(tried))
for short, network in (("convnet", "convnet"), ("five", "five_block")):
    report.number(f"scatter_{short}", 100 * changed.loc[BASES[network], "scatter"])
report.number("crop_said", reference_page.one_in_words(ref_changes, WHOLE_IMAGE))
timed = json.loads(repository("benchmarks/results/crop.json").read_text(encoding="utf-8"))["runs"][-1]
crop_speed = {name: timed[name] for name in ("ratio", "ratio_low", "ratio_high")}
report.data("crop_speed", crop_speed | {"machine": timed["machine"]["processor"]})
for name, value in crop_speed.items():
    report.number(f"crop_{name}", value)
report.number("crop_machine", timed["machine"]["processor"])

# %% tags=["remove-output", "hide-input"]
report.table("experiments_shown", shown_changes(changed))

# %% [markdown]
# ```{glue:figure} experiments_shown
# :name: tab-05-experiments
#
# Small experiments on {glue:text}`kind` galaxies, each against the first line of its own network. p is McNemar's: it
# covers the chance of the test galaxies, not that of a training; the lines with another seed show the latter.
# ```
#
# The ConvNet paper reports that the crop from 256 to 128 pixels brought 5 points. The experiment here reads the whole
# image at the same scale, with a larger first hidden layer: {glue:text}`crop_said`. The paper also expects a gain in
# speed in proportion to the pixels, of which a quarter is left. A pass over the whole images takes
# {glue:text}`crop_ratio:.1f` times as long (95 % interval {glue:text}`crop_ratio_low:.1f` to
# {glue:text}`crop_ratio_high:.1f`; `benchmarks/crop.py`, on {glue:text}`crop_machine`). The five blocks recognise
# {glue:text}`weak_classes` least. {glue:text}`weak_said` Another seed alone changes ConvNet's accuracy by
# {glue:text}`scatter_convnet:.1f` points and that of the five blocks by {glue:text}`scatter_five:.1f`. Of the
# {glue:text}`changes` changes, {glue:text}`clear_changes` exceed that scatter and stay significant at the 5 % level
# after correction for so many tests (Benjamini and Hochberg). One training of each proves little: trust the reference run,
# above, more.

# %% tags=["remove-output", "hide-input"]
SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])  # equations 1 and 2 of the ConvNet paper
learned = results["ConvNet as printed"].network.conv1[0].weight.detach().numpy().transpose(0, 2, 3, 1)
figure, axes = plt.subplots(3, 12, figsize=(8.6, 2.5))
for axis in axes.flat:
    axis.axis("off")
for axis, kernel in zip(axes[:2, 0], (SOBEL, SOBEL.T), strict=True):
    axis.imshow(kernel, cmap="gray")
for axis, kernel in zip(axes[:, 1:].flat, learned, strict=False):
    low, high = kernel.min(), kernel.max()
    axis.imshow((kernel - low) / (high - low))
report.figure("filters", figure)

# %% [markdown]
# ```{glue:figure} filters
# :alt: On the left two grey kernels of three by three pixels, one with a vertical and one with a horizontal edge. Beside them thirty-two small coloured squares of five by five pixels, most still close to noise, some with an edge or a blob.
# :name: fig-05-filters
#
# The two Sobel kernels that the ConvNet paper introduces convolution with (left), and the 32 filters of five by five
# pixels that its network learned here from {glue:text}`kind` galaxies, each scaled to its own range.
# ```
#
# ## Two answers instead of ten
#
# The ConvNet paper quotes three networks with two answers: Negm's tells real objects from artefacts, Kim and
# Brunner's tells stars from galaxies, Shi's tells smooth galaxies from featured ones; and it expects networks to
# answer such questions better than that of ten classes. Smooth and featured galaxies are among ours (Disturbed and
# Merging are neither and stay out). Stars and artefacts are not: we draw them through the same sky and the same
# camera as simulated galaxies, and set them against as many simulated galaxies.

# %% tags=["hide-input"]
drawn = galaxies
rows = {"learn": split.train, "exam": split.test}
if not galaxies.simulated:  # a drawn artefact among real galaxies would be told by its noise
    drawn = open_data("simulated", outputs=outputs, simulated=simulated, seed=seed)
    rows = dict(zip(rows, np.array_split(np.arange(len(drawn)), 2), strict=True))
rows = {part: np.random.default_rng(seed).permutation(numbers) for part, numbers in rows.items()}
objects = OtherObjects.draw(drawn, rows, count=others, seed=seed)
right_answers = answered(questions(convnet), objects, views)
merged_hits = merged(judged[BASES["convnet"]], labels)
binary = {
    "accuracy": right_answers["convnet"].mean(),
    "ten": hits_by[BASES["convnet"]].mean(),
    "merged": merged_hits.mean(),
    **mcnemar(right_answers["convnet"], merged_hits),
}
report.data("binary", binary)
for name in ("accuracy", "ten", "merged", "p"):
    report.number(f"binary_{name}", binary[name])
report.number("n_drawn", others)

# %% tags=["remove-output", "hide-input"]
shown = [objects.sky["star"][row] for row in range(2)] + [objects.sky["artefact"][row] for row in range(8)]
report.figure(
    "others_drawn",
    image_grid(shown, titles=[STAR] * 2 + list(ARTEFACTS) * 2, columns=5, width=7.2),
)

# %% [markdown]
# ```{glue:figure} others_drawn
# :alt: Ten cutouts of sky. Two show a round star in the middle; the others a straight coloured line across the whole frame, a short thick streak, a white star with spikes and a vertical bar, and a tiny sharp line.
# :name: fig-05-others
#
# Simulated stars and artefacts: we draw {glue:text}`n_drawn` of each. Their brightness, and that each kind of
# artefact comes equally often, are our assumptions.
# ```
#
# Asked only whether a galaxy is smooth or featured, ConvNet is right about {glue:text}`binary_accuracy:.1%`; asked
# for the ten classes, about {glue:text}`binary_ten:.1%`. That alone is no gain, for two answers are easier to guess
# than ten. The network of ten classes, with its answers merged into smooth and featured, is right about
# {glue:text}`binary_merged:.1%` of the same galaxies (McNemar's p {glue:text}`binary_p:.2g`).
#
# ## Each network under its own recipe
#
# Now we train networks as their own papers say, as far as this page's budget goes; the next table sets the results
# beside what the papers print. DMAGNet, if the parameter `own_epochs` grants it time, follows the recipe of its
# published code: a slower AdamW, and a second round from the weights with the lowest validation loss. The five blocks
# go through both stages of their recipe: Adam at a rate of 0.001 until the accuracy on the test set has not risen for
# five epochs, then the same at half the rate; each stage has {glue:text}`stage_epochs` epochs at most. Our source
# does not give Negm's, Kim and Brunner's and Shi's recipes: we train these networks with Adam like ConvNet.
#
# Apart from the networks themselves, these trainings depart from their sources in four ways:
#
# - **Split.** All learn from the book's own split by place on the sky. ConvNet's source has
#   {glue:text}`split_convnet`, the five blocks' {glue:text}`split_five_block`.
# - **Size.** The five blocks read {glue:text}`five_size:d` pixels a side here, and {glue:text}`printed_five_size:d` in
#   their paper.
# - **Turns.** ConvNet's paper adds copies turned by right angles to its images; here we turn each image anew by such
#   an angle in every pass, so that a pass here is a quarter of one there.
# - **What the papers do not print, we chose**: ConvNet's batch, the dropout of Negm's and of Kim and Brunner's
#   networks, the weights from which the five blocks' second stage begins (here those of the last epoch).

# %% tags=["hide-input"]
own = PAPER_RECIPE.but(
    width=width,
    size=recipe_for("dmagnet", PAPER_RECIPE, largest=largest).size,
    epochs=max(1, own_epochs),
    more_epochs=max(1, round(own_epochs * PAPER_RECIPE.more_epochs / PAPER_RECIPE.epochs)),
    seed=seed,
)
# A slow recipe: within the minutes of a short profile it learns nothing that could be told from guessing.
if own_epochs:
    whole = contend(galaxies, replace(split, train=chosen), own, folder=outputs)
in_stages = five.but(epochs=stage_epochs, more_epochs=stage_epochs, **STAGED)
staged = run_trial(in_stages, small["train"], validation=small["test"], watch=small)
stages = stage_rows(staged, small["test"])
untouched = probabilities(staged.network, small["validation"])
report.number("stage_epochs", stage_epochs)
report.number("five_size", five_size)
for name in ("convnet", "five_block"):
    report.number(f"split_{name}", entry(name).recipe.split)
report.data("own_recall", {"five_block": recalls(untouched, known, CLASS_NAMES)})
report.data("stages", stages)

# %% tags=["hide-input"]
hits_of = {"dmagnet": right(whole.predictions)} if own_epochs else {}
hits_of |= {
    "convnet": hits_by[BASES["convnet"]],
    **{name: right_answers[name] for name in ("negm", "kim_brunner", "shi")},
    "five_block": probabilities(staged.network, small["test"]).argmax(axis=1) == labels,
}
passes = dict.fromkeys(hits_of, str(trial_epochs)) | {
    "dmagnet": f"{own.epochs} + {own.more_epochs}",
    "five_block": " + ".join(str(stage["epochs"]) for stage in stages),
    **dict.fromkeys(OTHERS, str(2 * trial_epochs)),
}
rows = own_rows(hits_of, kinds={name: "simulated" if name in OTHERS else kind for name in hits_of})
report.data("own", rows)
beside = beside_printed(rows, passes=passes)

# %% tags=["remove-output", "hide-input"]
report.table("beside", beside)

# %% [markdown]
# ```{glue:figure} beside
# :name: tab-05-own
#
# Each network under its own recipe, cut short, on {glue:text}`trial_images:,` training images or, where stars or
# artefacts are drawn, on fewer; brackets hold 95 % intervals. Beside it stands what its paper prints, on real images
# of its own: the two columns are not the same measurement. The networks of votes have [their own
# chapter](07_votes.ipynb).
# ```

# %% tags=["remove-output", "hide-input"]
curve, change_over = staged.history, stages[0]["epochs"]
figure, axis = plt.subplots(figsize=(6.8, 3.8))
for name, colour, line in (("train", "#999999", ":"), ("test", ACCENT, "-"), ("validation", CONTRAST, "--")):
    axis.plot(curve.index + 1, curve[name], line, marker="o", markersize=3, color=colour, label=name)
axis.axvline(change_over + 0.5, color="black", linewidth=0.8)
axis.set(xlabel="epoch, both stages", ylabel="accuracy", ylim=(0, 1))
axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
axis.xaxis.get_major_locator().set_params(integer=True)
axis.legend(fontsize=8)
report.figure("stages_curve", figure)
for row, short in zip(report.content["stages"], ("first", "second"), strict=True):
    report.number(f"{short}_epochs", row["epochs"])
    report.number(f"{short}_end", row["test"])
report.number("untouched", float((untouched.argmax(axis=1) == known).mean()))

# %% [markdown]
# ```{glue:figure} stages_curve
# :alt: Accuracy over epochs on the training, the test and the validation galaxies, three lines that rise steeply and then slowly, with a vertical line where the second stage begins.
# :name: fig-05-stages
#
# The five-block CNN through both stages of its recipe, on {glue:text}`kind` galaxies; the vertical line parts
# them.
# ```
#
# The first stage ends after {glue:text}`first_epochs` epochs with {glue:text}`first_end:.1%` of the test galaxies
# right, the second after {glue:text}`second_epochs` more with {glue:text}`second_end:.1%`.
#
# ## A test set that decides when to stop
#
# The five-block paper stops its training when the accuracy on the set that it calls test has not improved for
# five epochs, and quotes that set's accuracy, about 80 %. Its table of single classes comes from a third set
# that took no part. The run above shows how much that choice alone adds to the score: take the epoch that is best on
# either set, and look at the other.

# %% tags=["hide-input"]
on_validation, on_test = curve["validation"].idxmax(), curve["test"].idxmax()
report.number("n_validation", len(split.validation))
report.number("validation_leaked", curve["validation"][on_validation])
report.number("validation_honest", curve["test"][on_validation])
report.number("test_leaked", curve["test"][on_test])
report.number("test_honest", curve["validation"][on_test])
report.number("leak", 100 * (curve["test"][on_test] - curve["test"][on_validation]))

# %% [markdown]
# Stopped where it judges the {glue:text}`n_validation:,` validation galaxies best, the network has
# {glue:text}`validation_leaked:.1%` of them right and {glue:text}`validation_honest:.1%` of the test galaxies.
# Stopped where it judges the test galaxies best, it has {glue:text}`test_leaked:.1%` of those right:
# {glue:text}`leak:.1f` points more on the same galaxies. This difference can never be negative, for it takes the best
# epoch of all. On the validation galaxies, which took no part in stopping, the run ends with
# {glue:text}`untouched:.1%`.

# %% tags=["hide-input"]
conditions = {"width": width, "sizes": {name: recipe.size for name, recipe in recipes.items()}}
conditions |= {"trial_sizes": {"convnet": convnet.recipe.size, "five_block": five.recipe.size}}
conditions |= {"epochs": epochs, "train_images": len(split.train), "seeds": seeds}
conditions |= {"trial_images": len(chosen), "trial_epochs": trial_epochs, "trial_seeds": 1}
conditions |= {"turned_epochs": epochs / TURNED, "trial_turned_epochs": trial_epochs / TURNED}
report.data("conditions", conditions | {"stage_epochs": stage_epochs, "own_epochs": own_epochs})
report.data("recipes", {"convnet": convnet.recipe.to_dict(), "five_block": in_stages.recipe.to_dict()})
supports = np.bincount(galaxies.labels[split.test], minlength=len(CLASS_NAMES))
report.data("supports", dict(zip(CLASS_NAMES, supports, strict=True)))

# %% tags=["hide-input"]
report.save()
