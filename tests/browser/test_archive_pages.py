"""Your archive in a real browser: made while one looks on, downloaded, a list brought, a refusal read."""

import os
from pathlib import Path
from typing import Any

import pytest

from server.core import storage, worker
from server.portability.models import Replica
from tests import world as people_module
from tests.browser.site import Site
from tests.browser.test_money_pages import look
from tests.world import World

PICTURES = os.environ.get("TRIBUTARY_PICTURES", "")


def picture(page: Any, name: str) -> None:
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_your_archive(site: Site, people: World, visit: Any, size: str, tmp_path: Path) -> None:
    people_module.published(people.alice, mp4_file=storage.put_bytes(b"film" * 99_999, "mp4"), poster_file="")
    Replica.objects.create(account=people.alice, origin="https://friends.example", error="The other server says: This server has no more room for copies.")  # fmt: skip
    Replica.objects.create(account=people.alice, origin="https://library.example", seq=3, manifest_sha256="ab" * 32, copied_at="2026-11-28T07:00:00Z")  # fmt: skip
    page = visit(people.alice, size)
    page.goto("/settings/archive")
    picture(page, f"first-{size}")
    look(page, f"archive {size}")
    page.get_by_role("button", name="Make an archive now").click()
    page.get_by_text("Being made", exact=True).wait_for()
    picture(page, f"making-{size}")
    worker.work("default")
    # The script asks again by itself.
    link = page.get_by_role("link", name="Download,")
    link.wait_for()
    with page.expect_download() as downloading:
        link.click()
    target = tmp_path / "alice.tar"
    downloading.value.save_as(target)
    assert target.read_bytes()[:12] == b"manifest.yml"
    look(page, f"archive ready {size}")
    picture(page, f"ready-{size}")

    page.locator("input[type=file]").set_input_files(
        files=[{"name": "blocked_accounts.csv", "mimeType": "text/csv", "buffer": b"dora@peer.example\nnot an address at all, whatever it says\n"}]
    )  # fmt: skip
    page.get_by_role("button", name="Import").click()
    page.get_by_text("After a break it goes on by itself").wait_for()
    worker.work("default")
    page.get_by_text("What did not come").wait_for()
    look(page, f"import {size}")
    picture(page, f"import-{size}")

    page.goto("/settings/archive")
    page.locator("input[type=file]").set_input_files(
        files=[{"name": "x.tar", "mimeType": "application/x-tar", "buffer": b"x" * 900}]
    )
    page.get_by_role("button", name="Import").click()
    worker.work("default")
    page.get_by_text("nothing was changed").wait_for()
    picture(page, f"refused-{size}")
