"""Evaluation: from a trained network and images to one table of predictions, and from it to scores.

In come a loaded network and images.
Out go probabilities, and accuracy, F1, calibration and confusion, each with its interval.
"""
