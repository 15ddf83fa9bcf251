"""What a defect does to the values of a column, and how they get back into it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from floe_synthetic.randomness import Ints, Keys
from floe_synthetic.schema import MONEY, TIME

_MUCH = {pa.int32(): 1_000_000, MONEY: 1_000_000_000}


def _emptied(clean: pa.Array, _bits: Keys) -> pa.Array:
    return pa.nulls(len(clean), clean.type)


def _respelled(clean: pa.Array, bits: Keys) -> pa.Array:
    """Texts in capitals with a space behind; times 1 to 59 seconds later."""
    if clean.type == TIME:
        seconds = (bits % np.uint64(59)).astype(np.int64) + 1
        return pc.add(clean.cast(pa.int64()), pa.array(seconds * 1_000_000)).cast(TIME)
    return pc.binary_join_element_wise(pc.utf8_upper(clean), "", " ")


def _misread(clean: pa.Array, _bits: Keys) -> pa.Array:
    """Texts whose bytes in UTF-8 were read as Latin-1. Those without a letter beyond ASCII get a byte order mark."""
    marked = pc.binary_join_element_wise("\ufeff", clean, "")
    texts_ = pc.if_else(pc.string_is_ascii(clean), marked, clean)
    offsets = np.frombuffer(texts_.buffers()[1], dtype=np.int32)[: len(texts_) + 1]
    data = np.frombuffer(texts_.buffers()[2], dtype=np.uint8)[: offsets[-1]]
    high = data >= 0x80  # two bytes in UTF-8
    places = np.concatenate([[0], np.cumsum(1 + high)]).astype(np.int32)
    result = np.empty(places[-1], dtype=np.uint8)
    result[places[:-1]] = np.where(high, 0xC0 | data >> 6, data)
    result[places[:-1][high] + 1] = 0x80 | data[high] & 0x3F
    return pa.StringArray.from_buffers(len(texts_), pa.py_buffer(places[offsets]), pa.py_buffer(result))


def _out_of_range(clean: pa.Array, bits: Keys) -> pa.Array:
    """Half of the numbers become negative, the others larger by a million pieces or a milliard."""
    one, much = (pa.scalar(Decimal(size)).cast(clean.type) for size in (1, _MUCH[clean.type]))
    negative = pa.array(bits % np.uint64(2) == 0)
    return pc.if_else(negative, pc.negate(pc.add(clean, one)), pc.add(clean, much)).cast(clean.type)


def _broken(clean: pa.Array, _bits: Keys) -> pa.Array:
    """No key ends with this letter."""
    return pc.binary_join_element_wise(pc.utf8_slice_codeunits(clean, 0, -1), "u", "")


DAMAGE: dict[str, Callable[[pa.Array, Keys], pa.Array]] = {
    "nulls": _emptied,
    "near_duplicates": _respelled,
    "out_of_range": _out_of_range,
    "broken_references": _broken,
    "encoding": _misread,
}
"""For each kind of defect in one column: (clean values, random bits) → the values with the defect."""


def replaced(column: pa.Array, rows: Ints, wrong: pa.Array) -> pa.Array:
    """The column with other values in these rows. Copies no more than has to change: a mask, numbers, or letters."""
    if column.offset or column.null_count or not len(column):
        return _replaced_one_by_one(column, rows, wrong)
    buffers = column.buffers()
    if wrong.null_count == len(wrong):
        bitmap = np.full(-(-len(column) // 8), 0xFF, dtype=np.uint8)
        np.bitwise_and.at(bitmap, rows >> 3, ~np.left_shift(1, rows & 7).astype(np.uint8))
        buffers[0] = pa.py_buffer(bitmap)
    elif pa.types.is_string(column.type):
        # A letter in place of another one: all values that change keep one length, as those of keys do.
        starts = np.frombuffer(buffers[1], dtype=np.int32)
        lengths = {*(starts[rows + 1] - starts[rows]).tolist(), *pc.binary_length(wrong).unique().to_pylist()}
        if len(lengths) != 1:
            return _replaced_one_by_one(column, rows, wrong)
        buffers[2], letters = _copied(buffers[2])
        width = lengths.pop()
        letters[starts[rows][:, np.newaxis] + np.arange(width)] = _values(wrong, 2, width)
    else:
        width = column.type.bit_width // 8
        buffers[1], numbers = _copied(buffers[1])
        numbers[: len(column) * width].reshape(len(column), width)[rows] = _values(wrong, 1, width)
    return pa.Array.from_buffers(column.type, len(column), buffers)


def _copied(buffer: pa.Buffer) -> tuple[pa.Buffer, npt.NDArray[np.uint8]]:
    """A copy of a buffer, and its bytes. Arrow's pool has memory ready, where NumPy asks the system for it."""
    copy = pa.allocate_buffer(buffer.size)
    letters = np.frombuffer(copy, dtype=np.uint8)
    letters[:] = np.frombuffer(buffer, dtype=np.uint8)
    return copy, letters


def _values(column: pa.Array, buffer: int, width: int) -> npt.NDArray[np.uint8]:
    """The bytes of values of one width, (values, width)."""
    whole = np.frombuffer(column.buffers()[buffer], dtype=np.uint8)
    return whole[column.offset * width : (column.offset + len(column)) * width].reshape(len(column), width)


def _replaced_one_by_one(column: pa.Array, rows: Ints, wrong: pa.Array) -> pa.Array:
    mask = np.zeros(len(column), dtype=bool)
    mask[rows] = True
    return pc.replace_with_mask(column, pa.array(mask), wrong)
