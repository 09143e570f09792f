"""Faults that a user can cure, each told in one sentence: the cause, then the cure."""


class GalaxyError(Exception):
    """A fault whose message is one clear sentence; the command line prints it and exits with status 1."""


class DataError(GalaxyError):
    """The galaxy file, or what was asked of it, is not as it must be."""


class CheckpointError(GalaxyError):
    """A checkpoint folder is missing, incomplete, altered, or of another network."""


class DreamError(GalaxyError):
    """A dream cannot be made: the image, the objective or the memory does not allow it."""


def cause(fault: BaseException) -> str:
    """The kind of a fault and the first line of what it says."""
    said = str(fault).strip().partition("\n")[0][:200]
    return f"{type(fault).__name__}: {said}" if said else type(fault).__name__
