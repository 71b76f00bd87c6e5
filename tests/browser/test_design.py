"""The design language holds: contrast is computed from the tokens, no colour stands anywhere else, vendored files are what they say."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parent.parent.parent / "server" / "web" / "static"
TOKENS = (STATIC / "css" / "tokens.css").read_text()
TEXT, LARGE_OR_MARK = 4.5, 3.0

# (foreground, background, least ratio): WCAG 2.2, 1.4.3 for words, 1.4.11 for marks and borders of controls.
PAIRS = [
    *[(ink, ground, TEXT) for ink in ("ink", "ink-soft", "accent", "danger") for ground in ("paper", "surface")],
    *[(ink, "sunken", TEXT) for ink in ("ink", "ink-soft")],
    ("accent-strong", "paper", TEXT),
    ("on-accent", "accent", TEXT),
    ("on-accent", "accent-strong", TEXT),
    ("on-accent-soft", "accent-soft", TEXT),
    ("on-ember", "ember", TEXT),
    ("on-ember-soft", "ember-soft", TEXT),
    ("on-good-soft", "good-soft", TEXT),
    ("on-warn-soft", "warn-soft", TEXT),
    ("on-danger", "danger", TEXT),
    ("on-danger-soft", "danger-soft", TEXT),
    ("danger-soft", "on-danger-soft", TEXT),
    ("paper", "ink", TEXT),
    ("on-stage", "stage", TEXT),
    ("on-stage-soft", "stage", TEXT),
    ("on-stage-soft", "stage-raised", TEXT),
    ("stage", "on-stage", TEXT),
    ("stage-ember", "stage", LARGE_OR_MARK),
    ("stage-accent", "stage", LARGE_OR_MARK),
    *[("line-strong", ground, LARGE_OR_MARK) for ground in ("paper", "surface")],
    *[("ember", ground, TEXT) for ground in ("paper", "surface", "sunken")],
    *[("accent", ground, LARGE_OR_MARK) for ground in ("paper", "surface", "sunken")],
    *[("focus", ground, LARGE_OR_MARK) for ground in ("paper", "surface", "sunken")],
    *[("on-tint", f"tint-{number}", TEXT) for number in range(6)],
]


def tokens(scheme: str) -> dict[str, str]:
    light, dark = TOKENS.split("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    if scheme == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))
    return found


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula_is_the_one_of_wcag():
    assert round(contrast("#000000", "#ffffff"), 2) == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str):
    colours = tokens(scheme)
    weak = [
        f"{front} on {back}: {contrast(colours[front], colours[back]):.2f} < {least}"
        for front, back, least in PAIRS
        if contrast(colours[front], colours[back]) < least
    ]
    assert weak == []


def test_every_colour_has_a_dark_twin_or_belongs_to_the_stage():
    light, dark = (
        tokens("light"),
        set(dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", TOKENS.split("(prefers-color-scheme: dark)")[1]))),
    )
    always = {name for name in light if "stage" in name or "tint" in name}
    assert set(light) - always == dark


@pytest.mark.parametrize("path", sorted(STATIC.glob("css/*.css")), ids=lambda path: path.name)
def test_colours_stand_in_the_tokens_only(path: Path):
    if path.name != "tokens.css":
        assert re.findall(r"#[0-9a-fA-F]{3,8}\b|\b(?:hsl|oklch|lab)\(", re.sub(r'url\("[^"]*"\)', "", path.read_text())) == []


def test_every_token_that_is_used_exists():
    defined = set(re.findall(r"--([\w-]+):", TOKENS)) | {"done"}
    for path in STATIC.glob("css/*.css"):
        assert set(re.findall(r"var\(--([\w-]+)", path.read_text())) <= defined, path.name


def test_every_class_in_a_template_has_a_rule_or_a_reason():
    rules = "".join(path.read_text() for path in STATIC.glob("css/*.css"))
    defined = set(re.findall(r"\.([a-zA-Z][\w-]*)", rules))
    hooks = {"tile-blur", "needs-no-js", "tabs-plain"}
    templates = STATIC.parent.parent.parent / "templates"
    missing = set()
    for folder in ("parts", "pages", "studio", "me", "errors", "account", "allauth"):
        for path in (templates / folder).rglob("*.html"):
            for value in re.findall(r'class="([^"]*)"', re.sub(r'{%[^%]*"[^%]*%}', " ", path.read_text())):
                words = re.sub(r"\S*{{.*?}}\S*", " ", re.sub(r"{%.*?%}", " ", value)).split()
                missing |= {f"{path.name}: {word}" for word in words if word not in defined | hooks}
    assert missing == set()


@pytest.mark.parametrize("record", [STATIC / "vendor" / "vendor.json", Path(__file__).parent / "vendor" / "vendor.json"], ids=str)
def test_vendored_files_are_what_they_say(record: Path):
    for entry in json.loads(record.read_text()):
        data = (record.parent / entry["file"]).resolve().read_bytes()
        assert entry["integrity"] == "sha384-" + base64.b64encode(hashlib.sha384(data).digest()).decode(), entry["name"]
        assert entry["license"]
    assert "sourceMappingURL" not in (STATIC / "vendor" / "hls" / "hls.light.min.mjs").read_text()


def test_every_icon_that_is_used_is_in_the_sprite():
    sprite = set(re.findall(r'<symbol id="([\w-]+)"', (STATIC / "img" / "icons.svg").read_text()))
    used = set()
    for path in (STATIC.parent.parent.parent / "templates").rglob("*.html"):
        used |= set(re.findall(r'{% icon "([\w-]+)"', path.read_text())) | set(
            re.findall(r'icon_name="([\w-]+)"', path.read_text())
        )
    assert used <= sprite
