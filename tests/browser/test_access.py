"""For everybody: axe finds nothing, every control can be reached and seen by keyboard, nothing overflows, targets are large enough."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from server.videos import actions
from server.videos.tagging import set_hashtags
from tests.browser.conftest import Visit
from tests.browser.site import Site
from tests.world import World

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture
def addresses(site: Site, people: World, tmp_path: Path) -> dict[str, str]:
    """The main pages, with something on each of them."""
    video = site.video(people.alice, tmp_path, caption="A walk by the #river with @bob")
    set_hashtags(video, ["river"])
    site.remote_video(people.dora, tmp_path, caption_html="<p>Tide</p>")
    site.video(people.alice, tmp_path, sensitive=True, caption="Covered")
    comment = actions.comment(video=video, by=people.bob, text="Which one?")
    actions.comment(video=video, by=people.alice, text="Ours.", parent=comment)
    return {
        "feed": "/?tab=local",
        "empty feed": "/?tab=following",
        "watch": f"/w/{video.pk}",
        "profile": "/@alice",
        "remote profile": "/@dora@peer.example",
        "upload": "/upload",
        "studio": "/studio",
        "edit": f"/videos/{video.pk}/edit",
        "delete": f"/videos/{video.pk}/delete",
        "search": "/search?q=river",
        "discover": "/search",
        "tag": "/tags/river",
        "settings": "/settings/profile",
        "close": "/settings/close",
        "identity": "/settings/identity",
        "take keys": "/settings/identity/keys",
        "recovery tool": "/identity/tool",
        "e-mail": "/account/email/",
        "password": "/account/password/change/",
        "following": "/following",
        "about": "/about",
        "verify a statement": "/ledger/verify",
        "report": "/report/account/bob",
        "components": "/components",
        "error": "/no/such/page",
    }


ENTRANCES = {"sign-up": "/account/signup/", "log-in": "/account/login/", "password reset": "/account/password/reset/"}


def examine(page: Page, name: str) -> list[str]:
    """What axe objects to, in one line each."""
    page.evaluate(AXE)
    result = page.evaluate("rules => axe.run(document, { runOnly: { type: 'tag', values: rules } })", RULES)
    found = []
    for rule in result["violations"]:
        for node in rule["nodes"]:
            reasons = "; ".join(each["message"] for each in node["any"])
            found.append(
                f"{name}: {rule['impact']} {rule['id']} {node['target']} {' '.join(node['html'].split())[:160]} {reasons[:200]}"
            )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_axe_finds_nothing(visit: Visit, people: World, addresses: dict[str, str], size: str, scheme: str):
    found = []
    for account, pages in ((people.alice, addresses), (None, ENTRANCES)):
        page = visit(account, size=size, color_scheme=scheme, reduced_motion="reduce")
        for name, address in pages.items():
            page.goto(address)
            found += examine(page, name)
    visit.forgive("404")
    assert not found, "\n".join(found)


def test_axe_finds_nothing_in_open_drawers_dialogs_and_errors(visit: Visit, people: World, addresses: dict[str, str]):
    page = visit(people.bob, reduced_motion="reduce")
    page.goto("/?tab=local")
    page.get_by_role("link", name="Comments").last.click()
    expect(page.locator("#drawer .comment-text").first).to_be_visible()
    found = examine(page, "drawer")
    page = visit(people.alice, reduced_motion="reduce")
    page.goto("/studio")
    page.get_by_role("link", name="Delete").first.click()
    found += examine(page, "dialog")
    page.goto("/upload")
    page.get_by_role("button", name="Upload").click()
    found += examine(page, "upload error")
    page.goto("/components")
    page.locator("#c-tabs ~ .row summary").click()
    found += examine(page, "open menu")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ["feed", "watch", "profile", "upload", "studio", "discover", "settings"])
def test_every_control_is_reached_by_tab_and_shows_it(visit: Visit, people: World, addresses: dict[str, str], name: str):
    page = visit(people.bob if name in {"feed", "watch", "profile"} else people.alice, size="desktop", reduced_motion="reduce")
    page.goto(addresses[name])
    page.evaluate("document.fonts.ready")
    wanted = page.evaluate(
        """() => {
        const inFirst = (element) => !element.closest("[data-slide] ~ [data-slide]");
        const all = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), textarea, select, summary")]
            .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled && inFirst(element))
            .filter((element) => element.type !== "radio");
        all.forEach((element, number) => { element.dataset.seen = String(number) });
        return all.map((element) => element.outerHTML.slice(0, 120));
    }"""
    )
    reached: dict[int, bool] = {}
    for _ in range(len(wanted) * 3 + 20):
        page.keyboard.press("Tab")
        state = page.evaluate(
            """() => {
            const at = document.activeElement;
            if (!at || at === document.body) return null;
            const shown = at.matches("[data-drop] input") ? at.closest("[data-drop]") : at;
            const style = getComputedStyle(shown);
            return [Number(at.dataset.seen ?? -1), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
        }"""
        )
        if state is None:
            if reached:
                break
            continue
        if state[0] >= 0:
            reached[state[0]] = state[1]
    missing = [wanted[number] for number in range(len(wanted)) if number not in reached]
    assert not missing, "\n".join(missing)
    unseen = [wanted[number] for number, is_shown in reached.items() if not is_shown]
    assert not unseen, "\n".join(unseen)


def test_the_skip_link_leads_past_the_navigation(visit: Visit, people: World, addresses: dict[str, str]):
    page = visit(people.alice, size="desktop")
    page.goto("/studio")
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to the content")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(visit: Visit, people: World, addresses: dict[str, str], width: int):
    page = visit(people.alice, size="desktop", viewport={"width": width, "height": 800}, reduced_motion="reduce")
    too_wide = []
    for name, address in addresses.items():
        page.goto(address)
        beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if beyond > 0:
            too_wide.append(f"{name}: {beyond} px")
    visit.forgive("404")
    assert not too_wide, "\n".join(too_wide)


def test_on_a_phone_the_bar_does_not_cut_through_the_name_of_who_made_it(visit: Visit, people: World, addresses: dict[str, str]):
    page = visit(people.bob, size="phone")
    page.goto(addresses["watch"])
    person, bar = page.locator(".watch .person").first.bounding_box(), page.locator("nav").last.bounding_box()
    assert person
    assert bar
    assert bar["y"] > 600, "the bar is at the foot"
    assert person["y"] + person["height"] <= bar["y"]


def test_targets_are_large_enough_for_a_thumb(visit: Visit, people: World, addresses: dict[str, str]):
    """WCAG 2.2, 2.5.8: 24 by 24 px, links inside a sentence excepted."""
    page = visit(people.alice, reduced_motion="reduce")
    small = []
    for name, address in addresses.items():
        page.goto(address)
        small += page.evaluate(
            """name => [...document.querySelectorAll("button, summary, input:not([type=hidden]), select, textarea, a.button, a.tab, a.nav-link, a.tile, a.stage-button")]
            .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".choices"))
            .map((element) => [element, element.getBoundingClientRect()])
            .filter(([element, box]) => box.width > 0 && (box.width < 24 || box.height < 20))
            .map(([element, box]) => `${name}: ${box.width}x${box.height} ${element.outerHTML.slice(0, 100)}`)""",
            name,
        )
    visit.forgive("404")
    assert not small, "\n".join(small)


def test_counts_are_announced_and_pictures_have_words(visit: Visit, people: World, addresses: dict[str, str]):
    page = visit(people.bob, reduced_motion="reduce")
    page.goto(addresses["watch"])
    assert page.locator("[data-count][aria-live=polite]").count() == 2
    assert page.locator("video").get_attribute("aria-label") == "A rabbit in a meadow"
    page.goto("/@alice")
    for picture in page.locator(".tile img").all():
        assert picture.get_attribute("alt")
