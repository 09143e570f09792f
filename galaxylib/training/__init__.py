"""Training: recipes, tasks, and one loop on Lightning for every network of the project.

In come images with labels, their split, a `Recipe` and the task (classes, or fractions of votes).
Out goes a checkpoint's folder: weights, recipe and provenance as JSON, the figures of every epoch, the state.
"""
