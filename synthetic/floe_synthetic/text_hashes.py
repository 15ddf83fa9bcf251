"""Numbers for texts, computed for whole columns at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from floe_synthetic.randomness import Keys
from floe_synthetic.text_keys import Letters

_STEP = np.uint64(0x9E3779B97F4A7C15)


def hashed(texts_: pa.Array | pa.ChunkedArray) -> Keys:
    """A number for each text, which does not depend on the other ones. A text is not null."""
    whole = texts_.combine_chunks() if isinstance(texts_, pa.ChunkedArray) else texts_
    if not len(whole):
        return np.empty(0, dtype=np.uint64)
    _, ends, data = whole.buffers()
    offsets = np.frombuffer(ends, dtype=np.int32)[whole.offset : whole.offset + len(whole) + 1]
    letters = np.frombuffer(data, dtype=np.uint8) if data else np.empty(0, dtype=np.uint8)
    lengths = np.diff(offsets)
    width = int(lengths[0])
    if (lengths == width).all():  # as keys are
        return _of_one_width(letters[offsets[0] : offsets[-1]].reshape(len(whole), width))
    numbers = np.empty(len(whole), dtype=np.uint64)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        numbers[rows] = _of_one_width(letters[offsets[:-1][rows][:, np.newaxis] + np.arange(length)])
    return numbers


def _of_one_width(texts_: Letters) -> Keys:
    rows, width = texts_.shape
    if width < 8:
        texts_ = np.hstack([texts_, np.zeros((rows, 8 - width), dtype=np.uint8)])
    numbers = np.full(rows, width, dtype=np.uint64)
    # Eight letters are one number. The last eight may overlap with those before, which spares a copy with padding.
    for place in [*range(0, width - 8, 8), max(width - 8, 0)]:
        numbers ^= np.ndarray(rows, "<u8", texts_, place, (texts_.strides[0],))
        numbers *= _STEP
        numbers ^= numbers >> np.uint64(29)
    return numbers
