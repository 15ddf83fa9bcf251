"""What a defect does to the values of a column."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from floe_synthetic.randomness import Keys
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
