"""A catalogue's rows: its columns, and what a batch becomes in them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from galaxylib.catalogue.answers import Answers
from galaxylib.catalogue.batches import Batch
from galaxylib.catalogue.writing import column_of
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.evaluation.judgement import Judgement


def schema(class_names: Sequence[str], *, votes: Sequence[str] = (), embedding: int = 0) -> pa.Schema:
    """The columns of a catalogue.

    Args:
        class_names: of the probabilities.
        votes: of the vote fractions; none if empty.
        embedding: numbers an image; none if 0.
    """
    columns = [("id", pa.string()), ("path", pa.string()), ("row", pa.int64())]
    columns += [(name, pa.float64()) for name in ("ra", "dec", "pixscale")]
    columns += [(column_of(name), pa.float32()) for name in class_names]
    columns += [("class", pa.string()), ("margin", pa.float32()), ("unlike_training", pa.float32())]
    columns += [("flags", pa.string()), ("reason", pa.string())]
    columns += [(name, pa.float32()) for name in votes]
    columns += [("embedding", pa.list_(pa.float32(), embedding))] if embedding else []
    return pa.schema(columns)


def table_of(batch: Batch, judged: Judgement | None, answers: Answers, form: pa.Schema) -> pa.Table:
    """The rows of a batch; those of images that could not be read are there, without an answer.

    Args:
        batch: N images.
        judged: what the network said of those that could be read; None where none could.
        answers: what that becomes.
        form: the catalogue's columns, of `schema`.
    """
    items, looks, readable = batch.items, batch.looks, batch.readable

    def spread(values: np.ndarray | None, shape: tuple[int, ...] = ()) -> np.ndarray:
        whole = np.full((len(items), *shape), np.nan)
        if values is not None:
            whole[readable] = values
        return whole

    ten, margin = spread(None, (len(CLASS_NAMES),)), spread(None)
    best = np.full(len(items), "", object)
    if judged is not None:
        shares, numbers = answers.classes(judged.probabilities)
        own = np.arange(len(CLASS_NAMES)) == numbers[:, None]
        ten = spread(shares, (len(CLASS_NAMES),))
        margin = spread(shares[own] - np.where(own, -np.inf, shares).max(axis=1))
        best[readable] = [CLASS_NAMES[number] for number in numbers]
    columns = [
        [item.id for item in items],
        [item.path for item in items],
        [item.row for item in items],
        *([getattr(look, name) for look in looks] for name in ("ra", "dec", "pixscale")),
        *ten.T.astype(np.float32),
        best,
        margin.astype(np.float32),
        spread(None if judged is None else judged.unlike).astype(np.float32),
        [" ".join(look.flags) for look in looks],
        [look.reason for look in looks],
    ]
    if answers.votes:
        given = spread(None if judged is None else judged.probabilities, (len(answers.votes),))
        columns += list(given.T.astype(np.float32))
    if "embedding" in form.names:
        width = form.field("embedding").type.list_size
        given = spread(None if judged is None else judged.embedding, (width,)).astype(np.float32)
        columns.append(pa.FixedSizeListArray.from_arrays(given.ravel(), width))
    arrays = [pa.array(column, kind) for column, kind in zip(columns, form.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=form)
