"""The pages of the ledger in a real browser: for everybody, on a phone and on a desk, by eye, by ear and without scripts."""

from collections.abc import Iterator

import pytest

from payouts import audit, mirror, peers
from payouts.ledger.errors import LedgerError
from payouts.mirror_files import name_of
from payouts.models import PeerLog
from server.core import http
from tests.browser.conftest import Visit
from tests.browser.site import Site
from tests.browser.test_access import examine
from tests.browser.test_money_pages import look
from tests.payouts.audited_month import one_unit_more, play
from tests.payouts.neighbour import Neighbour
from tests.payouts.room import Room
from tests.payouts.test_room_peers import fork_same_size


@pytest.fixture
def neighbours() -> Iterator[list[Neighbour]]:
    """One that is honest, one that lies, one that signs two books."""
    found = [Neighbour() for _ in range(3)]
    yield found
    for each in found:
        each.close()
    http.forget_connections()


@pytest.fixture
def addresses(site: Site, neighbours: list[Neighbour]) -> list[str]:
    """All kinds of pages, with something of everything on them."""
    room = Room()
    period = room.month()
    for each, shares in zip(neighbours, (lambda shares: shares, one_unit_more, lambda shares: shares), strict=True):
        play(each, told_shares=shares)
        peer = peers.follow_log(instance_origin=each.origin)
        mirror.mirror_peer(peer)
        audit.audit_peer(peer)
    fork_same_size(neighbours[2])
    forked = PeerLog.objects.get(origin=neighbours[2].instance.origin)
    with pytest.raises(LedgerError):
        peers.refresh(forked)
    return [
        *("/ledger/", "/ledger/entries", "/ledger/settlements", "/ledger/disputes", "/ledger/peers"),
        *(f"/ledger/entries/{index}" for index in (0, period.close_entry_id, (period.close_entry_id or 0) + 1)),
        f"/ledger/settlements/{period.close_entry_id}",
        *(f"/ledger/peers/{name_of(each.instance.origin)}" for each in neighbours),
    ]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_too_wide(visit: Visit, addresses: list[str], scheme: str) -> None:
    found = []
    for size in ("phone", "desktop"):
        page = visit(None, size=size, color_scheme=scheme, reduced_motion="reduce")
        for address in addresses:
            page.goto(address)
            look(page, f"{address} {size}")
            found += examine(page, address)
    assert not found, "\n".join(found)


def test_nothing_is_wider_than_the_narrowest_phone(visit: Visit, addresses: list[str]) -> None:
    page = visit(None, size="desktop", viewport={"width": 320, "height": 800}, java_script_enabled=False)
    for address in addresses:
        page.goto(address)
        look(page, address)


def test_the_tree_has_words_for_who_does_not_see_it(visit: Visit, addresses: list[str]) -> None:
    page = visit(None)
    page.goto("/ledger/entries/0")
    tree = page.get_by_role("img", name="from entry 0 at the bottom to the root")
    assert tree.count() == 1
    # Every box of the tree is inside of its drawing.
    outside = page.evaluate(
        """() => { const svg = document.querySelector('.proof-tree'), box = svg.viewBox.baseVal;
        return [...svg.querySelectorAll('text')].map(each => each.getBBox())
            .filter(each => each.x < 0 || each.x + each.width > box.width || each.y + each.height > box.height).length }"""
    )
    assert outside == 0
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the proof").click()
    assert download.value.suggested_filename == "entry-0.tlog-proof"
