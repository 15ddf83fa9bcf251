"""Values of a fork in files and in floe.toml: which texts are replaced, and which only look alike."""

from __future__ import annotations

import tomllib

import pytest

from floe.errors import FloeError
from floe.fork import PLACES, replaced
from floe.settings import Settings, edited
from floe.validate.policies.placeholders import placeholder

SHIPPED = Settings()


@pytest.mark.parametrize(
    ("setting", "current", "former", "before", "after"),
    [
        ("registry", "r.io/a", "g.io/f", "image: g.io/f/cube # g.io/f\r\n", "image: r.io/a/cube # r.io/a\r\n"),
        ("registry", "r.io/a", "g.io/f", "oci://g.io/f/charts in g.io/f.", "oci://r.io/a/charts in r.io/a."),
        ("registry", "r.io/a", "g.io/f", "g.io/f-next my.g.io/f g.io/f.x", None),
        ("registry", "g.io/f/a", "g.io/f", "g.io/f/cube g.io/f/a/cube", "g.io/f/a/cube g.io/f/a/cube"),
        ("registry", "g.io/f", "g.io/f/a", "g.io/f/cube g.io/f/a/cube", "g.io/f/cube g.io/f/cube"),
        (
            "repository",
            "https://h/a",
            "https://h/f",
            "url: https://h/f.git https://h/f/x",
            "url: https://h/a.git https://h/a/x",
        ),
        ("repository", "https://h/a", "https://h/f", "https://h/f-wiki https://h/f.wiki", None),
        ("domain", "a.io", "f.com", "cube.qa.f.com, f.com/x cube.f.com-tls", "cube.qa.a.io, a.io/x cube.a.io-tls"),
        ("domain", "a.io", "f.com", "my-f.com f.com.au f.community me@f.com f.com-x", None),
        ("domain", "x.f.com", "f.com", "a.f.com b.x.f.com", "a.x.f.com b.x.f.com"),
        ("domain", "a.io", "f.com", "issuer: https://login.f.com\nemailDomains: f.com", None),
        ("domain", "a.io", "f.com", "{issuer: https://f.com, host: d.f.com}", "{issuer: https://f.com, host: d.a.io}"),
        ("domain", "a.io", "f.com", "OAUTH2_PROXY_EMAIL_DOMAINS: f.com", None),
    ],
)
def test_former_values_are_replaced(setting: str, current: str, former: str, before: str, after: str | None) -> None:
    once, counts = replaced(before, PLACES[setting], current, (former,))
    assert once == (before if after is None else after)
    assert bool(counts) == (once != before)
    assert replaced(once, PLACES[setting], current, (former,)) == (once, {})


def test_the_remedy_for_placeholders_names_what_a_fork_keeps() -> None:
    text = (
        "host: a.example.com\nissuer: https://login.example.com\nemailDomains: example.com\nsecret: example.com-tls\n"
    )
    after, counts = replaced(text, PLACES["domain"], "a.io", (SHIPPED.domain,))
    assert counts == {SHIPPED.domain: 2}
    kept = [line.partition(":")[0] for line in after.splitlines() if SHIPPED.domain in line]
    assert kept == ["issuer", "emailDomains"]
    assert all(f"`{name}`" in placeholder.remedy for name in kept)


def test_floe_toml_keeps_comments_and_line_ends() -> None:
    text = "# ours\r\nregistry  = 'ghcr.io/floe-runtime' # two places\r\npromotion = [\r\n  \"dev\",\r\n]\r\n"
    wanted = Settings(promotion=("dev",), registry="g.io/a", domain="a.io")
    after = edited(text, {"registry": "g.io/a", "domain": "a.io"}, wanted)
    assert after == text.replace("'ghcr.io/floe-runtime'", '"g.io/a"') + 'domain = "a.io"\r\n'


def test_former_values_are_a_list_in_floe_toml() -> None:
    for text in ("", "domain = 'a.io'", 'former.domain = [\n  "x.io"\n]\n'):
        after = edited(
            text, {"domain": "b.io", "former.domain": ["x.io", "a.io"]}, _with_former("b.io", "x.io", "a.io")
        )
        assert tomllib.loads(after) == {"domain": "b.io", "former": {"domain": ["x.io", "a.io"]}}


def _with_former(domain: str, *former: str) -> Settings:
    return Settings.model_validate({"domain": domain, "former": {"domain": former}})


@pytest.mark.parametrize(
    "text", ['"domain" = "x.io"\n', '[former]\ndomain = ["x.io"]\n', 'domain = """x.io"""\n', "[former]\n"]
)
def test_a_setting_in_another_form_is_reported(text: str) -> None:
    with pytest.raises(FloeError, match="where it can be edited"):
        edited(text, {"domain": "b.io", "former.domain": ["x.io"]}, _with_former("b.io", "x.io"))
