"""Keys of rows as text of a fixed width, built for whole columns at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from floe_synthetic.randomness import Ints, Keys

Letters = npt.NDArray[np.uint8]
"""Texts of the same width, as (rows, width)."""

_DIGITS = np.frombuffer(b"0123456789abcdefghjkmnpqrstvwxyz", dtype=np.uint8)  # without letters that look like digits
_PAIRS = np.stack([np.repeat(_DIGITS, 32), np.tile(_DIGITS, 32)], axis=1).copy().view(np.uint16).ravel()
_LENGTH = 12  # 60 bits
_MASK = np.uint64((1 << 60) - 1)
_ODD = np.uint64(0x2545F4914F6CDD1D & ((1 << 60) - 1))


def letters(prefix: str, keys: Keys) -> Letters:
    """A text for each key below 2**54: a letter and 12 letters or digits, which differ if the keys do."""
    # Each step maps the numbers below 2**60 onto each other, so that keys that follow each other look unrelated.
    rest = keys + np.uint64((ord(prefix) & 63) << 54)  # another kind of row gets another text for the same key
    rest *= _ODD
    rest &= _MASK
    rest ^= rest >> np.uint64(31)
    rest *= _ODD
    rest &= _MASK
    rest ^= rest >> np.uint64(29)
    pairs = np.empty((len(keys), _LENGTH // 2), dtype=np.uint16)
    for column in range(_LENGTH // 2):
        shift = np.uint64(10 * (_LENGTH // 2 - 1 - column))
        pairs[:, column] = _PAIRS[((rest >> shift) & np.uint64(1023)).view(np.int64)]
    whole = np.empty((len(keys), 1 + _LENGTH), dtype=np.uint8)
    whole[:, 0] = ord(prefix)
    whole[:, 1:] = pairs.view(np.uint8)
    return whole


def table(texts: Sequence[str]) -> Letters:
    """Texts of the same width, to be drawn from."""
    return np.array([list(one.encode()) for one in texts], dtype=np.uint8)


def joined(first: Letters, second: Letters, rows: Ints) -> Letters:
    """Each text of `first`, followed by that of `second` in the given row."""
    whole = np.empty((len(first), first.shape[1] + second.shape[1]), dtype=np.uint8)
    whole[:, : first.shape[1]] = first
    whole[:, first.shape[1] :] = second.take(rows, axis=0)
    return whole


def strings(texts: Letters) -> pa.Array:
    """The texts as an Arrow array, without copying them."""
    rows, width = texts.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(texts))
