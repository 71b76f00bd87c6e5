"""The pages of money and identity in a real browser: nothing breaks, nothing is wider than the window, a slot is billed."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from payouts.models import MeteredImpression
from tests.browser.site import Site
from tests.server.test_pages_money import plan, sell, staff, watch
from tests.world import World

PERSONAL = ["/wallet", "/settings/identity", "/settings/identity/bring", "/settings/identity/leave", "/settings/aliases"]
FOR_STAFF = ["/staff/sponsors", "/staff/periods", "/staff/periods/1", "/staff/ledgers"]


def look(page: Any, name: str) -> None:
    """What every page owes everybody. A test may be asked to leave a picture."""
    page.wait_for_load_state("networkidle")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} is {wide} px wider than the window"
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]),select')].filter(e => !e.labels.length && !e.ariaLabel).length"
    )
    assert unnamed == 0, f"{name} has a field without a label"


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_the_pages_of_money(site: Site, people: World, visit: Any, size: str) -> None:
    root = staff("root")
    sell(root)
    watch(people.alice, 1_000)
    watch(people.bob, 500)
    period = plan(root)
    page = visit(None, size)
    cookie = root.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": site.origin}])
    for address in FOR_STAFF:
        page.goto(address.replace("/1", f"/{period.pk}"))
        look(page, f"{address} {size}")
    for step in ("approve", "close"):
        root.post(f"/staff/periods/{period.pk}/{step}")
    page.goto("/staff/ledgers")
    look(page, f"ledgers {size}")
    page = visit(people.alice, size)
    for address in PERSONAL:
        page.goto(address)
        look(page, f"{address} {size}")


def test_a_slot_is_shown_after_the_fourth_video_and_billed(site: Site, people: World, visit: Any, tmp_path: Path) -> None:
    sell(staff("root"))
    for number in range(6):
        site.video(people.alice, tmp_path, caption=f"Clip {number}")
    page = visit(people.bob, "phone")
    page.goto("/?tab=local")
    page.locator("[data-slide]").nth(3).scroll_into_view_if_needed()
    slot = page.locator("[data-slot]")
    slot.wait_for()
    assert "Sponsored by Acme Tea" in slot.inner_text()
    slot.scroll_into_view_if_needed()
    with page.expect_response(lambda answer: answer.url.endswith("/seen")) as seen:
        page.wait_for_timeout(1_000)
    assert seen.value.status == 204
    look(page, "slot")
    assert MeteredImpression.objects.get().count == 1
