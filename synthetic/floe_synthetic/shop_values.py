"""What the web shop is like: its regions, segments of customers, categories, and how each of them buys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from floe_synthetic.calendar import Region
from floe_synthetic.randomness import deck

REGIONS = (
    Region("US", "America/New_York", "en_US", 34),
    Region("DE", "Europe/Berlin", "de_DE", 14),
    Region("GB", "Europe/London", "en_GB", 12),
    Region("FR", "Europe/Paris", "fr_FR", 9),
    Region("NL", "Europe/Amsterdam", "nl_NL", 6),
    Region("ES", "Europe/Madrid", "es_ES", 6),
    Region("IT", "Europe/Rome", "it_IT", 6),
    Region("PL", "Europe/Warsaw", "pl_PL", 5),
    Region("SE", "Europe/Stockholm", "sv_SE", 4),
    Region("CA", "America/Toronto", "en_CA", 4),
)
PAYMENTS = ("card", "invoice", "direct debit", "wallet", "bank transfer")
_PAYMENT_SHARES = {
    "US": (72, 2, 4, 20, 2),
    "DE": (22, 34, 18, 22, 4),
    "NL": (14, 8, 4, 10, 64),
    "PL": (24, 2, 2, 14, 58),
}
_PAYMENT_ELSEWHERE = (58, 8, 8, 20, 6)

SEGMENTS = ("consumer", "small_business", "enterprise")
_SEGMENT_SHARES = {0: 0.82, 1: 0.14, 2: 0.04}
# By segment: how many products an order has, how many pieces of each, and how much each category is liked.
LINES: tuple[dict[int, float], ...] = (
    {1: 46, 2: 28, 3: 14, 4: 7, 5: 3, 6: 2},
    {1: 22, 2: 25, 3: 20, 4: 13, 5: 9, 6: 6, 8: 5},
    {2: 12, 3: 16, 4: 18, 6: 20, 8: 18, 10: 10, 12: 6},
)
_QUANTITIES: tuple[dict[int, float], ...] = (
    {1: 78, 2: 15, 3: 4, 4: 2, 5: 1},
    {1: 46, 2: 24, 3: 10, 5: 12, 10: 8},
    {1: 18, 2: 18, 5: 26, 10: 24, 20: 10, 50: 4},
)
_DISCOUNTS: tuple[dict[int, float], ...] = (
    {0: 76, 5: 10, 10: 10, 20: 4},
    {0: 60, 5: 22, 10: 14, 15: 4},
    {0: 20, 5: 20, 10: 30, 15: 20, 20: 10},
)
# For each category: the typical price, how much each segment likes it, and the names of its articles.
CATEGORIES: dict[str, tuple[float, tuple[float, float, float], Sequence[str]]] = {
    "electronics": (120.0, (1.0, 1.6, 3.0), ("Headphones", "Keyboard", "Monitor", "Charger", "Speaker", "Webcam")),
    "home": (45.0, (1.1, 1.2, 1.5), ("Lamp", "Kettle", "Blanket", "Shelf", "Clock", "Mirror")),
    "clothing": (35.0, (1.4, 0.7, 0.3), ("Jacket", "Shirt", "Scarf", "Trousers", "Socks", "Cap")),
    "sports": (55.0, (1.0, 0.6, 0.4), ("Backpack", "Bottle", "Mat", "Racket", "Gloves", "Tent")),
    "beauty": (18.0, (1.2, 0.6, 0.2), ("Soap", "Cream", "Shampoo", "Comb", "Perfume", "Balm")),
    "books": (15.0, (1.0, 0.9, 0.8), ("Novel", "Atlas", "Cookbook", "Diary", "Guide", "Comic")),
}
STYLES = ("Classic", "Compact", "Everyday", "Light", "Nordic", "Premium", "Sturdy", "Urban")
RETURN_REASONS = ("does not fit", "not as described", "damaged", "changed my mind", "arrived too late")

LINE_DECKS, QUANTITY_DECKS, DISCOUNT_DECKS = (
    np.stack([deck(weights) for weights in by_segment]) for by_segment in (LINES, _QUANTITIES, _DISCOUNTS)
)
PAYMENT_DECKS = np.stack(
    [deck(np.array(_PAYMENT_SHARES.get(one.country, _PAYMENT_ELSEWHERE), dtype=np.float64)) for one in REGIONS]
)
DOMAINS = ("example.com", "example.org", "example.net")
DOMAIN_DECK, SEGMENT_DECK = deck({0: 6, 1: 3, 2: 1}), deck(_SEGMENT_SHARES)
