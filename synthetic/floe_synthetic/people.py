"""Names, cities and addresses of a country, in pools that are drawn from. Faker makes the pools, once for a process."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import pyarrow as pa

from floe_synthetic.randomness import Floats, Ints

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
    from faker.generator import Generator

    # Only these two of Faker's modules: it would load some twenty others for each locale.
    fake: Any = Generator()
    for kind in ("person", "address"):
        fake.add_provider(_provider(kind, locale))
    fake.seed_instance(seed)
    first = [fake.first_name() for _ in range(_FIRST)]
    last = [fake.last_name() for _ in range(_LAST)]
    cities = [fake.city() for _ in range(_CITIES)]
    return Pool(*(pa.array(one) for one in (first, last, [*map(_mail, first)], [*map(_mail, last)], cities)))


def _provider(kind: str, locale: str) -> Any:
    for one in (locale, "en_US"):  # Faker has no names for some countries, such as Canada
        with suppress(ModuleNotFoundError):
            provider = import_module(f"faker.providers.{kind}.{one}").Provider
            # Faker makes the Italian list from a set, whose order is another one in each process.
            return type("Provider", (provider,), {"cities": sorted(getattr(provider, "cities", ()))})
    raise ModuleNotFoundError(f"Faker has no {kind} for {locale}")


def _mail(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.translate(_SPECIAL))
    return "".join(sign for sign in plain if sign.isascii() and sign.isalnum()).lower() or "x"


def skewed(uniform: Floats, size: int) -> Ints:
    """Indices below `size`, the lower ones more often: some names are common, most are rare."""
    indices: Ints = (uniform * np.sqrt(uniform) * size).astype(np.int64)
    return indices
