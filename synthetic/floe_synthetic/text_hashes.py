"""Numbers for texts, computed for whole columns at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from floe_synthetic.randomness import Keys

_STEP = np.uint64(0x9E3779B97F4A7C15)


def hashed(texts_: pa.Array | pa.ChunkedArray) -> Keys:
    """A number for each text, which does not depend on the other ones. A text is not null."""
    whole = texts_.combine_chunks() if isinstance(texts_, pa.ChunkedArray) else texts_
    _, ends, data = whole.buffers()
    offsets = np.frombuffer(ends, dtype=np.int32)[whole.offset : whole.offset + len(whole) + 1]
    letters = np.frombuffer(data, dtype=np.uint8) if data else np.empty(0, dtype=np.uint8)
    lengths = np.diff(offsets)
    padded = np.zeros((len(whole), -(-int(lengths.max(initial=1)) // 8) * 8), dtype=np.uint8)
    if len(lengths) and (lengths == lengths[0]).all():  # as keys are
        padded[:, : lengths[0]] = letters[offsets[0] : offsets[-1]].reshape(len(whole), lengths[0])
    else:
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            padded[rows, :length] = letters[offsets[:-1][rows][:, np.newaxis] + np.arange(length)]
    numbers = np.zeros(len(whole), dtype=np.uint64)
    for word in padded.view("<u8").T[::-1]:  # from the end, where the zeros are, which change nothing
        numbers = (numbers ^ word) * _STEP
        numbers ^= numbers >> np.uint64(29)
    return numbers
