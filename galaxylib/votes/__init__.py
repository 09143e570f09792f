"""Votes: Galaxy Zoo 2 with its tree, votes read or simulated, and networks that predict 37 fractions.

In comes a folder in the layout of the Galaxy Zoo challenge, or simulated galaxies with their true parameters.
Out go vote fractions, their errors, and the classes of Galaxy10 that the votes support.
"""
