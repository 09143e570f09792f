"""Data: the Galaxy10 file and its checks, how it is fetched, split, read and prepared for a network.

In comes an HDF5 file of the Galaxy10 format, simulated, fetched or given by path, or a picture of one's own.
Out go rows divided into training, validation and test, and batches of normalised, augmented images.
"""
