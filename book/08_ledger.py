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
# # The ledger
#
# Every claim of the five source documents that carries a number, and many that carry none, have a row here, with what
# this book computes for it and a verdict; what can only be read off their figures has not. The galaxies are simulated by default, and a result on simulated galaxies
# never passes for one on real images.

# %% tags=["parameters"]
data: str = "simulated"  # what the other chapters ran on: "simulated", or the path of a Galaxy10 HDF5 file
profile: str = "default"  # name of the profile that set these parameters: smoke, default, reference or paper
seed: int = 0  # as in every chapter; nothing in the ledger is drawn by chance
outputs: str = "_build/results/default"  # folder with the other chapters' results, and for this one's
claims: str = "book/claims.yml"  # the file of claims
reference: str = "benchmarks/results/reference"  # folder of the reference run; "" judges by this run alone
catalogue: str = ""  # CSV of the published set (columns label, ra, dec); empty: counted beforehand

# %% tags=["hide-input"]
import json

import numpy as np
import pandas as pd
from IPython.display import HTML
from matplotlib import pyplot as plt

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.sky import Catalogue
from galaxylib.paper.chapter_results import CHAPTERS, GALAXIES, Results
from galaxylib.paper.claim_checks import Evidence
from galaxylib.paper.claims import load_claims
from galaxylib.paper.figures import ACCENT, CONTRAST, style
from galaxylib.paper.findings import contradictions, counted
from galaxylib.paper.ledger import Verdict, as_table, judge
from galaxylib.paper.ledger_page import checks, contradictions_table, ledger, meanings, summary
from galaxylib.paper.parameters import as_declared, repository
from galaxylib.paper.report import Report

style()
globals().update(as_declared(globals()))
report = Report(outputs, "08_ledger")
published = Catalogue.read(catalogue) if catalogue else None
if published is None and data != "simulated" and len(given := Galaxy10(data)) == GALAXIES:
    published = given
measured = json.loads(repository("benchmarks/results/published_labels.json").read_text(encoding="utf-8"))
results = Results(Evidence(load_claims(claims), measured, published), outputs, reference=reference)
printed = results.evidence.printed
findings = judge(results)
table = as_table(findings).set_index("id", drop=False)
report.data("ledger", table.drop(columns=["where", "claim", "kind"]).to_dict(orient="records"))

# %% [markdown]
# ## What was found

# %% tags=["remove-output", "hide-input"]
for name, count in counted(findings, printed.causes).items():
    report.number(name, count)
for verdict in Verdict:
    report.number(f"n_{verdict.name.lower()}", int((table["verdict"] == str(verdict)).sum()))
missing = [title for name, title in CHAPTERS.items() if results.of(name) is None]
report.number("chapters_missing", ", ".join(missing) or "none")
referred = {title: where for name, title in CHAPTERS.items() if (where := results.by_reference(name))}
report.number(
    "judged_by",
    "The reference run, a longer one on simulated galaxies, judges the claims on other networks and on votes, as "
    f"far as it has the trainings ({'; '.join(f'{title}: {where}' for title, where in referred.items())}). "
    "This run judges all other claims"
    if referred
    else "This run judges all claims",
)
evaluated = results.of("04_evaluation") or {}
report.number(
    "run",
    f"The network of the evaluation names {evaluated['accuracy']:.1%} of {evaluated['n']:,} "
    f"{evaluated['kind']} test galaxies correctly"
    if "n" in evaluated
    else "In this run no network was evaluated",
)

# %% [markdown]
# - **One mislabelling.** Two tables of the DMAGNet paper carry the wrong class names. That touches
#   {glue:text}`n_mislabelled` statements: {glue:text}`n_mislabelled_cells` cells of the tables and
#   {glue:text}`n_mislabelled_sentences` sentences that rest on them. [The next section](#tab-08-assigned) shows how
#   the names were found.
# - **{glue:text}`n_further` further contradictions**, listed below: a document does not agree with its own
#   numbers, or with a source outside it.
# - **{glue:text}`n_waiting` scores and observations wait for real images**, {glue:text}`n_waiting_votes` of them
#   for those of the Galaxy Zoo challenge. A score on drawn galaxies never stands in for one on real images.
# - **Tendencies that were tested on drawn galaxies: {glue:text}`n_drawn`.** These galaxies show
#   {glue:text}`n_drawn_shown` of them, do not show {glue:text}`n_drawn_not`, and leave {glue:text}`n_drawn_close`
#   within the reach of chance. {glue:text}`n_not_learned` more could not be tested, because a network that they
#   compare stands at the level of guessing, and {glue:text}`n_other_conditions` because the run was trained
#   otherwise than the claim's network.
# - **{glue:text}`n_untestable` claims cannot be tested here**, and {glue:text}`n_open` could be but are not yet; each
#   row says why. {glue:text}`n_not_run` more rest on results that this run left out.
#
# {glue:text}`judged_by`. {glue:text}`run`; the verdicts of this run's own networks rest on such networks.

# %% tags=["hide-input"]
HTML(contradictions_table(contradictions(findings, printed.causes), printed.seeds))

# %% [markdown]
# ## The class names of Tables 2 and 3
#
# Tables 2 and 3 of the DMAGNet paper carry the wrong class names. Its test images are a stratified share of
# the set, {glue:text}`share:.2%`, so each support in Table 3 must be that share of its class in section 3.
# Under the printed names this holds for {glue:text}`rows_named_right` of the ten rows. If each row may be any
# class, and a support may miss its share by {glue:text}`tolerance` galaxy at most, exactly
# {glue:text}`n_assignments` assignment of the ten classes is left: all were searched. Its largest error is
# {glue:text}`largest_error:.2f` galaxies; a second assignment would need {glue:text}`second_fits_at:.2f`.
#
# The supports say even more. Set a tenth of each class aside, rounded up, and give a fifth of what is left of it,
# rounded up, to the test: {glue:text}`supports_exact` of the ten supports come out to the galaxy, under the names
# that fit. The {glue:text}`n_aside:,` images set aside are those that the printed split leaves in no part, and a tenth
# of the rest is its validation set. The paper does not say that it cut so.

# %% tags=["remove-output", "hide-input"]
names, matrix, corrected = (results.of(check) for check in ("names", "matrix", "corrected"))
supports, classes = printed.table("000-table-3-support")["support"], printed.table("000-counts")["images"]
assigned = pd.DataFrame(
    {
        "support": supports,
        "its class's share": (names["share"] * classes).map("{:.1f}".format),
        "class that fits": pd.Series(names["assigned"]),
        "that class's share": {
            row: f"{names['share'] * classes[fit]:.1f}" for row, fit in names["assigned"].items()
        },
    }
)
report.number("share", names["share"])
report.number("rows_named_right", names["rows_named_right"])
report.number("tolerance", names["tolerance"])
report.number("n_assignments", names["assignments"])
report.number("largest_error", names["largest_error"])
report.number("second_fits_at", names["second_fits_at"])
cuts = results.of("nested_cuts")
report.number("supports_exact", cuts["supports_exact"])
report.number("n_aside", cuts["aside"])
report.number("out_of_order", ", ".join(names["out_of_folder_order"]))
report.table("assigned", assigned.loc[list(names["assigned"])])

# %% [markdown]
# ```{glue:figure} assigned
# :name: tab-08-assigned
#
# The rows of Table 3 in their printed order: the printed support, the share of the class that the row is
# named after, the class that fits, and its share.
# ```
#
# The classes that fit stand nearly in alphabetical order, the order in which torchvision's `ImageFolder` reads
# folders; only {glue:text}`out_of_order` stand otherwise. An order of folders printed under the dataset's own
# order of labels is therefore likely, but its exact cause is unknown.
#
# With each row and column under its right name, Tables 2 and 3 become:

# %% tags=["remove-output", "hide-input"]
scores = pd.DataFrame.from_dict(corrected["scores"], orient="index")
confusion = pd.DataFrame.from_dict(corrected["confusion"], orient="index")
# The paper's own abbreviations keep the table narrow.
short = dict(
    zip(confusion.columns, ("D", "M", "RS", "IRS", "CS", "BS", "UTS", "ULS", "EWB", "EWB+"), strict=True)
)
report.table(
    "table_2_corrected", confusion.rename(index=lambda name: f"{name} ({short[name]})", columns=short)
)
report.table("table_3_corrected", scores.round({"precision": 3, "recall": 3, "f1": 3}))

# %% [markdown]
# ```{glue:figure} table_3_corrected
# :name: tab-08-table-3
#
# Table 3 of the DMAGNet paper under the right names, computed from Table 2.
# ```
#
# ```{glue:figure} table_2_corrected
# :name: tab-08-table-2
#
# Table 2 of the DMAGNet paper under the right names: galaxies of each true class (down) by the class that the
# network gave them (across).
# ```

# %% tags=["remove-output", "hide-input"]
before = printed.table("000-table-3")["f1"]
figure, axis = plt.subplots(figsize=(7.2, 4.0))
place = np.arange(len(scores))
axis.hlines(place, before, scores["f1"], color="#999999", linewidth=1)
axis.plot(before, place, "o", color=CONTRAST, markerfacecolor="white", label="as printed")
axis.plot(scores["f1"], place, "o", color=ACCENT, label="under the right names")
axis.set(xlabel="F1 score", xlim=(0.55, 1.0), yticks=place, yticklabels=scores.index)
axis.invert_yaxis()
axis.legend(loc="lower left")
report.figure("f1_corrected", figure)

f1 = scores["f1"]
report.number("worst", corrected["worst"])
report.number("worst_f1", f1.min())
report.number("five_block_worst", results.of("five_block_report")["worst"])
report.number("best", ", ".join(f"{name} ({f1[name]:.3f})" for name in corrected["best"]))
printed_pair, true_pair = (table.loc["000-confusion-first", which] for which in ("printed", "computed"))
report.number("pair_printed", printed_pair.replace(", ", " and "))
report.number("pair_true", true_pair.replace(", ", " and "))
report.number("pair_count", corrected["confused_pairs"][0]["count"])
report.number("second_pair", corrected["confused_pairs"][1]["pair"].replace(", ", " and "))
conclusions = ["000-high-inbetween", "000-high-cigar", "000-high-tight", "000-low-merging", "000-low-round"]
conclusions += ["000-confusion-first", "000-confusion-second"]
fallen = table.loc[conclusions, "verdict"] == str(Verdict.CONTRADICTED)
report.number("n_conclusions", len(conclusions))
report.number("n_fallen", int(fallen.sum()))
report.number("inbetween_f1", f1["In-between Round Smooth"])
for name in ("accuracy", "accuracy_low", "accuracy_high", "right", "total", "cells", "cells_that_follow"):
    report.number(f"matrix_{name}", matrix[name])
report.number("matrix_macro_f1", matrix["Macro avg."]["f1"])
report.number("matrix_weighted_f1", matrix["Weighted avg."]["f1"])

# %% [markdown]
# ```{glue:figure} f1_corrected
# :alt: Dot plot with one line for each of the ten classes, joining the F1 score printed beside its name with the one under the right names. The line of Round Smooth runs from the lowest score far up, those of Disturbed, Cigar Shaped Smooth and Unbarred Tight Spiral run down, and In-between Round Smooth hardly moves.
# :name: fig-08-f1
#
# F1 score of each class in the DMAGNet paper's Table 3, as printed and under the right names. These are the
# paper's own real-image results; only the names change.
# ```
#
# ### What changes in the paper's conclusions
#
# Of the {glue:text}`n_conclusions` statements that the paper draws from these tables class by class,
# {glue:text}`n_fallen` fall. The weakest class is not Round Smooth but {glue:text}`worst`, with an F1 score of
# {glue:text}`worst_f1:.3f`; {glue:text}`five_block_worst` is the weakest class of the five-block CNN report too. The
# best are {glue:text}`best`. The most frequent confusion, {glue:text}`pair_count` galaxies, is not that of
# {glue:text}`pair_printed` but of {glue:text}`pair_true`, followed by {glue:text}`second_pair`. In-between Round
# Smooth does reach the high F1 that the text gives it ({glue:text}`inbetween_f1:.3f`), by chance: the row that
# carried its name is another class.
#
# The overall scores do not depend on the names: {glue:text}`matrix_right` of {glue:text}`matrix_total` test galaxies are right,
# {glue:text}`matrix_accuracy:.1%` (95 % interval {glue:text}`matrix_accuracy_low:.1%` to
# {glue:text}`matrix_accuracy_high:.1%`), with a macro F1 of {glue:text}`matrix_macro_f1:.3f` and a weighted F1 of
# {glue:text}`matrix_weighted_f1:.3f`; and {glue:text}`matrix_cells_that_follow` of the {glue:text}`matrix_cells`
# class cells of Table 3 follow from Table 2.

# %% [markdown]
# ## All claims

# %% tags=["remove-output", "hide-input"]
in_tables = table["table"] != ""
report.number("n_claims", len(table))
report.number("n_text", int((~in_tables).sum()))
report.number("n_cells", int(in_tables.sum()))
counts = summary(findings).rename(columns={seed: entry["short"] for seed, entry in printed.seeds.items()})
report.table("summary", counts.rename_axis(columns=None))

# %% [markdown]
# Every claim of the file has a row in the sections below: {glue:text}`n_text` stand in sentences, and
# {glue:text}`n_cells` are cells of tables, which open at a click or with the Enter key. Most cells give the shape of a
# network, and agree because the networks of this book were written after them: the table below counts rows, and a
# row is no measure of weight. Chapters without results in this run: {glue:text}`chapters_missing`.
#
# ```{glue:figure} summary
# :name: tab-08-summary
#
# Rows by verdict and document, each cell of a printed table counted as one.
# ```
#
# What each verdict says:

# %% tags=["hide-input"]
HTML(meanings(findings))

# %% [markdown]
# ## The DMAGNet paper

# %% tags=["hide-input"]
HTML(ledger([finding for finding in findings if finding.claim.seed == "000"]))

# %% [markdown]
# ## The DMAGNet README

# %% tags=["hide-input"]
HTML(ledger([finding for finding in findings if finding.claim.seed == "001"]))

# %% [markdown]
# ## The ConvNet report

# %% tags=["hide-input"]
HTML(ledger([finding for finding in findings if finding.claim.seed == "002"]))

# %% [markdown]
# ## The five-block CNN report

# %% tags=["hide-input"]
HTML(ledger([finding for finding in findings if finding.claim.seed == "003"]))

# %% [markdown]
# ## The Galaxy Zoo 2 report

# %% tags=["hide-input"]
HTML(ledger([finding for finding in findings if finding.claim.seed == "004"]))

# %% [markdown]
# ## What others report
#
# Two other networks are often quoted beside DMAGNet on the same images. The table gives their figures with what is
# known of their protocols; they are not comparable with one another or with any score of this book.

# %% tags=["remove-output", "hide-input"]
report.table("elsewhere", pd.DataFrame(printed.facts["scores_elsewhere"]).set_index("network"))

# %% [markdown]
# ```{glue:figure} elsewhere
# :name: tab-08-elsewhere
#
# Accuracies on Galaxy10 DECaLS reported by others.
# ```
#
# ## The checks
#
# A link in the column "how" leads to the section of the chapter that computes the value, or to one of these
# functions of `galaxylib.paper.claim_checks` and `galaxylib.paper.claim_sources`.

# %% tags=["hide-input"]
HTML(checks(findings))

# %% tags=["hide-input"]
report.save()
