"""Software as a service: organisations, their users and subscriptions, what the users do, and monthly invoices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from floe_synthetic.calendar import DAY_US, Calendar, Patterns, Region
from floe_synthetic.domain import Domain
from floe_synthetic.entities import (
    Cohorts,
    Families,
    Generator,
    Parts,
    child,
    inside,
    key,
    opening,
    persons,
    texts,
    times,
    words,
)
from floe_synthetic.randomness import Floats, Ints, Keys, Source, deck
from floe_synthetic.schema import Column
from floe_synthetic.text_keys import joined, letters, strings, table

REGIONS = (
    Region("US", "America/Los_Angeles", "en_US", 38),
    Region("GB", "Europe/London", "en_GB", 16),
    Region("DE", "Europe/Berlin", "de_DE", 14),
    Region("IN", "Asia/Kolkata", "en_IN", 12),
    Region("FR", "Europe/Paris", "fr_FR", 10),
    Region("AU", "Australia/Sydney", "en_AU", 10),
)
OFFICE = Patterns(
    hours=(
        *(0.05, 0.03, 0.02, 0.02, 0.03, 0.08, 0.25, 0.80, 1.90, 2.80, 3.00, 2.80),
        *(1.40, 1.90, 2.80, 2.90, 2.60, 1.70, 0.80, 0.45, 0.35, 0.30, 0.20, 0.10),
    ),
    weekdays=(1.25, 1.35, 1.35, 1.30, 1.10, 0.35, 0.30),
    season=0.06,
    season_peak=40,
    growth=0.6,
    promotions=(),
)
"""Office hours. Growth is that of the organisations that sign up in a year."""
PLANS, CHANGES = ("starter", "team", "business"), ("started", "upgraded", "downgraded", "cancelled")
PRICES = np.array([900, 1900, 3900])
"""Cents for a seat and month, by plan."""
ROLES, ACTIONS = ("owner", "admin", "member", "viewer"), ("view", "login", "create", "share", "export", "invite")

SAAS = Domain(
    tables={
        "organisations": (
            Column("organisation_id", "string", "key"),
            Column("name", "string", "name of the company", required=False),
            Column("country", "string", "ISO 3166-1 alpha-2", required=False),
            Column("city", "string", "where its head office is", required=False),
            Column("created_at", "time", "when it signed up"),
        ),
        "users": (
            Column("user_id", "string", "key"),
            Column("organisation_id", "string", "where the user works: organisations.organisation_id"),
            Column("name", "string", "full name", required=False),
            Column("email", "string", "address below .example", required=False),
            Column("role", "string", "owner, admin, member or viewer", required=False),
            Column("created_at", "time", "when the user signed up, never before the organisation"),
        ),
        "subscriptions": (
            Column("subscription_id", "string", "key"),
            Column("organisation_id", "string", "who pays: organisations.organisation_id"),
            Column("plan", "string", "the plan at the start", required=False),
            Column("seat_price", "money", "price of a seat and month at the start"),
            Column("started_at", "time", "when the trial ended and the subscription began"),
        ),
        "subscription_events": (
            Column("subscription_event_id", "string", "key"),
            Column("subscription_id", "string", "the subscription: subscriptions.subscription_id"),
            Column("change", "string", "started, upgraded, downgraded or cancelled"),
            Column("plan", "string", "the plan from then on, or until then if cancelled", required=False),
            Column("occurred_at", "time", "when it happened"),
        ),
        "invoices": (
            Column("invoice_id", "string", "key"),
            Column("subscription_id", "string", "what is billed: subscriptions.subscription_id"),
            Column("seats", "int", "users at the start of the month, at least 1"),
            Column("seat_price", "money", "price of a seat and month on the plan at the start of the month"),
            Column("total", "money", "seats * seat_price"),
            Column("due_at", "time", "until when it is to be paid"),
            Column("issued_at", "time", "in the first hours of the month"),
        ),
        "invoice_events": (
            Column("invoice_event_id", "string", "key"),
            Column("invoice_id", "string", "the invoice: invoices.invoice_id"),
            Column("status", "string", "overdue or paid"),
            Column("occurred_at", "time", "when the invoice got this status"),
        ),
        "events": (
            Column("event_id", "string", "key"),
            Column("user_id", "string", "who did it: users.user_id"),
            Column("organisation_id", "string", "where the user works: organisations.organisation_id"),
            Column("action", "string", "view, login, create, share, export or invite", required=False),
            Column("occurred_at", "time", "when it happened, while the subscription runs"),
        ),
    },
    families={"events": "event_id", "invoices": "invoice_id", "invoice_events": "invoice_id"},
    new_column=("events", "device", ("desktop", "phone", "tablet")),
)
_table = SAAS.table
_INDUSTRIES = ("Software", "Logistics", "Media", "Foods", "Health", "Energy", "Design", "Analytics")
_LEGAL_FORMS = {"US": "Inc.", "GB": "Ltd", "DE": "GmbH", "IN": "Pvt Ltd", "FR": "SARL", "AU": "Pty Ltd"}
_PLAN_DECK, _ROLE_DECK = deck({0: 55, 1: 33, 2: 12}), deck({1: 10, 2: 65, 3: 25})
_ACTION_DECK = deck({0: 58, 1: 17, 2: 15, 3: 5, 4: 4, 5: 1})
_SIZE_DECK = deck({1: 18, 2: 16, 3: 15, 5: 20, 8: 13, 14: 10, 30: 5, 80: 2, 200: 1})  # users in the end
_TRIAL_DAYS, _CONVERTED = 14, 0.72  # the trial's length, and the part of the organisations that then subscribe
_LIFE_DAYS = np.array([200.0, 400.0, 1000.0])  # by first plan; the larger, the rarer does a subscription end
_PLAN_CHANGES, _ENDINGS = 3, table([f"-{number}" for number in range(1, 6)])  # three, besides start and end
_NEVER, _HOUR_US = np.int64(1 << 62), 3_600_000_000
_USER_BITS, _MONTH_BITS, _CHUNK = 10, 11, 1 << 19  # of numbers in keys; events that are generated at once


@dataclass(frozen=True)
class _Population:
    """Organisations and their users. `user_of`: the index of a user's organisation.

    `changed`: (organisations, 1 + _PLAN_CHANGES) times since when each of `plan` holds; the first is the start.
    """

    key: Keys
    region: Ints
    created: Ints
    changed: Ints
    plan: Ints
    ended: Ints
    user: Keys
    user_of: Ints
    user_number: Ints
    user_created: Ints
    activity: Floats


class SaaSGenerator(Generator):
    """Generates the data of a software service. Users are active only while their organisation's subscription runs.

    `organisations`: those that signed up before the opening. `organisations_per_day`: on an average day of the first
    year. `events_per_user`: of a new user on an average day. Raises ValueError for an argument that makes no sense.
    """

    domain = SAAS

    def __init__(
        self,
        seed: int = 42,
        organisations: int = 900,
        organisations_per_day: float = 3,
        events_per_user: float = 8,
        *,
        opened: date = date(2026, 1, 1),
        patterns: Patterns = OFFICE,
    ) -> None:
        if not (0 <= organisations <= 1 << 20 and 0 <= organisations_per_day <= 1 << 20):
            raise ValueError(f"organisations and organisations_per_day must be from 0 to {1 << 20}")
        if not 0 <= events_per_user <= 10_000:
            raise ValueError("events_per_user must be from 0 to 10000")
        self._random, self._seed = Source(seed), seed
        self._events_per_user, self.opened = float(events_per_user), opening(opened)
        self._cohorts = Cohorts(self._random, Calendar(REGIONS, patterns, opened), organisations, organisations_per_day)
        self._usage = Calendar(REGIONS, replace(patterns, growth=0.0), opened)
        self._cohort = lru_cache(maxsize=None)(self._cohorts.of_day)
        self._population = lru_cache(maxsize=2)(self._populate)

    def _before(self, end: int) -> Parts:
        return self._master_data(self._population(end // DAY_US), 0, end)

    def _parts(self, start: int, end: int, oldest: int, families: Families) -> Parts:
        days = range(start // DAY_US, (end - 1) // DAY_US + 1)
        everything = self._population(days[-1])
        if families.others:
            yield from self._master_data(everything, start, end)
        yield from self._billing(everything, start, end, oldest, families)
        for day in days:
            yield from self._events(everything, day, start, end, families)

    def _populate(self, last: int) -> _Population:
        """Everybody who signs up until a day, and what becomes of them."""
        cohorts = [self._cohort(day) for day in range(self._cohorts.first, last + 1)]
        keys, region, created = (np.concatenate([cohort[part] for cohort in cohorts]) for part in range(3))
        draw = self._random.uniform
        plan = np.empty((len(keys), 1 + _PLAN_CHANGES), dtype=np.int64)
        plan[:, 0] = self._random.draw("plan", keys, _PLAN_DECK)
        changed = np.empty_like(plan)
        changed[:, 0] = self._later(created, draw("trial", keys) * _TRIAL_DAYS, keys)
        for step in range(1, 1 + _PLAN_CHANGES):
            before, up = plan[:, step - 1], draw(f"direction {step}", keys) < 0.72
            plan[:, step] = np.where((up | (before == 0)) & (before < len(PLANS) - 1), before + 1, before - 1)
            days = 20 + 700 * draw(f"change {step}", keys) ** 1.5
            changed[:, step] = self._later(changed[:, step - 1], days, keys)
        # Many leave early, those who stay tend to stay: the hazard falls with age (a Lomax distribution).
        days = _LIFE_DAYS[plan[:, 0]] * ((1 - draw("life", keys)) ** (-1 / 0.6) - 1)
        ended = self._later(changed[:, 0], (1 + days).clip(max=40_000), keys)
        leaves = draw("converted", keys) >= _CONVERTED
        ended[leaves] = created[leaves] + _TRIAL_DAYS * DAY_US
        changed[leaves] = _NEVER
        changed[changed >= ended[:, np.newaxis]] = _NEVER
        size = self._random.draw("size", keys, _SIZE_DECK)
        user_of = np.repeat(np.arange(len(keys)), size)
        number = np.arange(len(user_of)) - np.repeat(np.cumsum(size) - size, size)
        users = child(keys[user_of], number, _USER_BITS)
        later = self._later(created[user_of], 1 + 240 * draw("joined", users) ** 2.2, users)
        joined = np.where(number == 0, created[user_of], later)
        kept = joined < ended[user_of]
        activity = np.exp(1.1 * self._random.generator("activity").standard_normal(1024) - 0.6)
        return _Population(
            *(keys, region, created, changed, plan, ended, users[kept], user_of[kept], number[kept], joined[kept]),
            activity=activity[self._random.bits("activity", users[kept]) >> np.uint64(54)],
        )

    def _later(self, at: Ints, days: Floats, keys: Keys) -> Ints:
        """Whole days and some minutes later, but not on a weekend: office hours stay office hours."""
        whole = days.astype(np.int64)
        whole += np.where((at // DAY_US + whole + 3) % 7 >= 5, 2, 0)  # 1970-01-01 was a Thursday
        return at + whole * DAY_US + (self._random.uniform("minutes", keys) * _HOUR_US).astype(np.int64)

    def _master_data(self, all_: _Population, start: int, end: int) -> Parts:
        """What began to exist in a window, and the changes of subscriptions."""
        rows = inside(all_.created, start, end)
        keys, region = all_.key[rows], all_.region[rows]
        city, family = (persons(self._random, self._seed, REGIONS, keys, region)[one] for one in ("city", "family"))
        industry = words(_INDUSTRIES, (self._random.uniform("industry", keys) * len(_INDUSTRIES)).astype(np.int64))
        name = pc.binary_join_element_wise(family, industry, words([*_LEGAL_FORMS.values()], region), " ")
        yield _table("organisations", texts("g", keys), name, words([*_LEGAL_FORMS], region), city, all_.created[rows])

        rows = inside(all_.user_created, start, end)
        users, number, of = all_.user[rows], all_.user_number[rows], all_.user_of[rows]
        known = persons(self._random, self._seed, REGIONS, users, all_.region[of])
        company, serial = texts("g", all_.key[of]), pa.array(number + 1).cast(pa.string())
        mail = pc.binary_join_element_wise(known["mail"], serial, "@", company, ".example", "")
        role = words(ROLES, np.where(number == 0, 0, self._random.draw("role", users, _ROLE_DECK)))
        yield _table("users", texts("u", users), company, known["name"], mail, role, all_.user_created[rows])
        rows = inside(all_.changed[:, 0], start, end)
        keys, plan, at = all_.key[rows], all_.plan[rows, 0], all_.changed[rows, 0]
        yield _table("subscriptions", texts("s", keys), texts("g", keys), words(PLANS, plan), PRICES[plan], at)
        count = (all_.changed < _NEVER).sum(axis=1)
        times_of = np.column_stack([all_.changed, np.where(count, all_.ended, _NEVER)])
        rows, number = np.nonzero((times_of >= start) & (times_of < end))
        rows, number = (one[np.argsort(times_of[rows, number], kind="stable")] for one in (rows, number))
        after = np.where(number > _PLAN_CHANGES, count[rows] - 1, number)  # which of `plan` holds
        step = all_.plan[rows, after] - all_.plan[rows, np.maximum(after - 1, 0)]
        change = np.select([number == 0, number > _PLAN_CHANGES, step > 0], [0, 3, 1], 2)
        own, at, plans = letters("s", all_.key[rows]), times_of[rows, number], words(PLANS, all_.plan[rows, after])
        ids = strings(joined(own, _ENDINGS, number))
        yield _table("subscription_events", ids, strings(own), words(CHANGES, change), plans, at)

    def _billing(self, all_: _Population, start: int, end: int, oldest: int, families: Families) -> Parts:
        """The invoices of a window, and what became in it of those of the two months before."""
        first, last = (int(np.datetime64(moment, "us").astype("M8[M]").astype(np.int64)) for moment in (start, end))
        for month in range(first - 2, last + 1):
            begins = int(np.datetime64(month, "M").astype("M8[us]").astype(np.int64))
            if begins < oldest:
                continue
            rows = np.flatnonzero((all_.changed[:, 0] <= begins) & (all_.ended > begins))
            keys = child(all_.key[rows], np.full(len(rows), month), _MONTH_BITS)
            chosen = families.chosen(keys)
            rows, keys = rows[chosen], keys[chosen]
            plan = all_.plan[rows, (all_.changed[rows] <= begins).sum(axis=1) - 1]
            seats = np.bincount(all_.user_of[all_.user_created < begins], minlength=len(all_.key))[rows]
            issued = begins + (self._random.uniform("issued", keys) * 4 * _HOUR_US).astype(np.int64)
            due = issued + np.where(plan == PLANS.index("business"), 30, 14) * DAY_US
            new = inside(issued, start, end)
            ids, price, of = texts("i", keys[new]), PRICES[plan[new]], texts("s", all_.key[rows[new]])
            yield _table("invoices", ids, of, seats[new], price, seats[new] * price, due[new], issued[new])
            luck, delay = self._random.uniform("pays", keys), self._random.uniform("paid", keys)
            paid = issued + (np.where(luck < 0.9, delay**1.5 * 14, delay * 45) * DAY_US).astype(np.int64)
            paid[luck > 0.985] = _NEVER
            for status, at in (("overdue", np.where(paid > due, due, _NEVER)), ("paid", paid)):
                new = inside(at, start, end)
                ids, invoice = texts(status[0], keys[new]), texts("i", keys[new])
                yield _table("invoice_events", ids, invoice, words([status], new * 0), at[new])

    def _events(self, all_: _Population, day: int, start: int, end: int, families: Families) -> Parts:
        """What users do on a day, as far as it is in the window."""
        since, till = np.maximum(all_.user_created, all_.changed[all_.user_of, 0]), all_.ended[all_.user_of]
        users = np.flatnonzero((since < (day + 1) * DAY_US) & (till > day * DAY_US))
        demand = self._usage.demand(day)
        region = all_.region[all_.user_of[users]]
        interest = (1 + np.maximum(day - since[users] // DAY_US, 0) / 45) ** -0.4 * all_.activity[users]
        expected = self._events_per_user * interest * demand.mean(axis=1)[region]
        ends = np.cumsum(self._random.generator("events", day).poisson(expected))
        for first in range(0, int(ends[-1]) if len(ends) else 0, _CHUNK):
            number = np.arange(first, min(first + _CHUNK, int(ends[-1])))
            index = np.searchsorted(ends, number, side="right")
            keys = key(region[index], np.full(len(number), day), number)
            chosen = families.chosen(keys)
            index, keys = index[chosen], keys[chosen]
            at = times(demand, region[index], self._random.uniform("occurred at", keys), day)
            user = users[index]
            chosen = np.flatnonzero((at >= start) & (at < end) & (at >= since[user]) & (at < till[user]))
            chosen = chosen[np.argsort(at[chosen], kind="stable")]
            user, keys = user[chosen], keys[chosen]
            action, company = self._random.draw("action", keys, _ACTION_DECK), texts("g", all_.key[all_.user_of[user]])
            yield _table(
                "events", texts("e", keys), texts("u", all_.user[user]), company, words(ACTIONS, action), at[chosen]
            )
