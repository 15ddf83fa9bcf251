"""Names, cities and addresses of a country, in pools that are drawn from. Faker makes the pools, once for a process."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

_FIRST, _LAST, _CITIES = 200, 400, 60
_SPECIAL = str.maketrans({"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "æ": "ae", "đ": "d"})


@dataclass(frozen=True)
class Pool:
    """The pools of a country; `first_mail` and `last_mail` are the names as they appear in an e-mail address."""

    first: pa.Array
    last: pa.Array
    first_mail: pa.Array
    last_mail: pa.Array
    cities: pa.Array


@lru_cache
def pool(locale: str, seed: int) -> Pool:
    """The pools of a locale of Faker, such as de_DE. The same arguments and version of Faker give the same pools."""
    from faker import Faker

    fake = Faker(locale, use_weighting=False)
    fake.seed_instance(seed)
    first = [fake.first_name() for _ in range(_FIRST)]
    last = [fake.last_name() for _ in range(_LAST)]
    cities = [fake.city() for _ in range(_CITIES)]
    return Pool(*(pa.array(one) for one in (first, last, [*map(_mail, first)], [*map(_mail, last)], cities)))


def _mail(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.translate(_SPECIAL))
    return "".join(sign for sign in plain if sign.isascii() and sign.isalnum()).lower() or "x"


def skewed(uniform: np.ndarray, size: int) -> np.ndarray:
    """Indices below `size`, the lower ones more often: some names are common, most are rare."""
    return (uniform**1.7 * size).astype(np.int64)
