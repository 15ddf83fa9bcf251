"""Keys of rows as text, built for whole columns at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from floe_synthetic.randomness import Ints, Keys

_DIGITS = np.frombuffer(b"0123456789abcdefghjkmnpqrstvwxyz", dtype=np.uint8)  # without letters that look like digits
_LENGTH = 12  # 60 bits
_MASK = np.uint64((1 << 60) - 1)
_ODD = np.uint64(0x2545F4914F6CDD1D & ((1 << 60) - 1))


def texts(prefix: str, keys: Keys, lines: Ints | None = None) -> pa.Array:
    """A text for each key below 2**60: the prefix and 12 letters or digits, which differ if the keys do.

    `lines`: numbers from 1 to 99 that are appended after a dash, such as the lines of an order.
    """
    head = np.frombuffer(prefix.encode(), dtype=np.uint8)
    width = len(head) + _LENGTH + (0 if lines is None else 3)
    letters = np.empty((len(keys), width), dtype=np.uint8)
    letters[:, : len(head)] = head
    # Each step maps the numbers below 2**60 onto each other, so that keys that follow each other look unrelated.
    rest = (keys * _ODD) & _MASK
    rest ^= rest >> np.uint64(31)
    rest = (rest * _ODD) & _MASK
    rest ^= rest >> np.uint64(29)
    for column in range(len(head) + _LENGTH - 1, len(head) - 1, -1):
        letters[:, column] = _DIGITS[rest & np.uint64(31)]
        rest >>= np.uint64(5)
    if lines is not None:
        letters[:, -3] = ord("-")
        letters[:, -2] = lines // 10 + ord("0")
        letters[:, -1] = lines % 10 + ord("0")
    offsets = np.arange(len(keys) + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), pa.py_buffer(letters))
