"""The products of the web shop: what they are, what they cost, and how popular they are."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from floe_synthetic.domain import money
from floe_synthetic.entities import words
from floe_synthetic.randomness import Ints, Source, deck
from floe_synthetic.schema import arrow_schema
from floe_synthetic.shop_values import CATEGORIES, SEGMENTS, STYLES
from floe_synthetic.text_keys import Letters, strings, table


class Catalogue:
    """A number of products, which is a function of the random numbers alone."""

    def __init__(self, random: Source, products: int) -> None:
        """Store the arguments."""
        self._random, self._products = random, products

    def table(self) -> pa.Table:
        """The rows of the table `products`."""
        keys = np.arange(self._products, dtype=np.uint64)
        articles = [f"{style} {noun}" for _, _, nouns in CATEGORIES.values() for style in STYLES for noun in nouns]
        per_category = len(articles) // len(CATEGORIES)
        article = self.category * per_category + (self._random.uniform("article", keys) * per_category).astype(np.int64)
        model = pa.array(np.arange(self._products) + 100).cast(pa.string())
        columns = [
            strings(self.ids),
            pc.binary_join_element_wise(pa.array(articles).take(pa.array(article)), model, " "),
            words(list(CATEGORIES), self.category),
            money(self.cents),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("products"))

    @cached_property
    def ids(self) -> Letters:
        """The key of each product."""
        return table([f"p{number:06}" for number in range(1, self._products + 1)])

    @cached_property
    def category(self) -> Ints:
        """The category of each product, as its index in CATEGORIES."""
        return self._random.generator("categories").integers(0, len(CATEGORIES), self._products, dtype=np.int64)

    @cached_property
    def cents(self) -> Ints:
        """Each product's price in cents, from 0.99 to 4999.99: lognormal around the typical price of its category."""
        typical = np.array([price for price, _, _ in CATEGORIES.values()])[self.category]
        units = typical * np.exp(self._random.generator("prices").normal(0.0, 0.6, self._products))
        whole: Ints = units.clip(max=4999).astype(np.int64)
        return whole * 100 + 99

    @cached_property
    def popularity(self) -> Ints:
        """For each segment a deck of products: a few are sold often, most of them rarely (Zipf and Mandelbrot)."""
        rank = self._random.generator("popularity").permutation(self._products)
        weight = (rank + 9.0) ** -1.05
        liked = np.array([likes for _, likes, _ in CATEGORIES.values()])[self.category]
        return np.stack([deck(weight * liked[:, segment]) for segment in range(len(SEGMENTS))])
