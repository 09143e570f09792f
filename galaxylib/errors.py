"""Faults that a user can cure, each told in one sentence: the cause, then the cure."""


class GalaxyError(Exception):
    """A fault whose message is one clear sentence; the command line prints it and exits with status 1."""


class DataError(GalaxyError):
    """The galaxy file, or what was asked of it, is not as it must be."""


class CheckpointError(GalaxyError):
    """A checkpoint folder is missing, incomplete, altered, or of another network."""


class DreamError(GalaxyError):
    """A dream cannot be made: the image, the objective or the memory does not allow it."""
