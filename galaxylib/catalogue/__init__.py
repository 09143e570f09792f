"""Catalogues: images of one's own come in, a catalogue of classes goes out.

In come pictures, folders, FITS cutouts, files of the Galaxy10 layout, Parquet files and tables of paths, in
any mixture and without labels; out goes one table with a row for each image, whatever became of it.
"""
