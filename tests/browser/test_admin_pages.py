"""Staff pages in a real browser, phone and desktop: they fit, they obey the content security policy, and their verbs work.

With SCREENSHOTS_DIR set, what is seen is written there as ``admin-PAGE-SIZE.png``.
"""

import io
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from PIL import Image
from playwright.sync_api import Page

from federation.models import Actor, Delivery, InboxItem, Peer
from server.accounts.models import Account
from server.core import clock
from server.core.models import Task
from server.moderation import actions as moderation
from server.moderation.models import AuditEntry, Report
from server.videos import actions as videos
from server.videos.models import Video
from tests.browser.conftest import Visit
from tests.browser.site import Site
from tests.world import World

pytestmark = pytest.mark.slow
SIZES = ("desktop", "phone")


@pytest.fixture(scope="session")
def _collected() -> None:
    """With Django's own staff files, which the other browser tests do without."""
    call_command(
        "collectstatic", interactive=False, verbosity=0, ignore_patterns=["drf_spectacular_sidecar", "gis", "rest_framework"]
    )


@pytest.fixture
def boss(people: World) -> Account:
    """Alice, who is an administrator too."""
    user = people.alice.user
    assert user is not None
    user.is_staff = user.is_superuser = True
    user.save()
    return people.alice


@pytest.fixture
def rows(site: Site, people: World, boss: Account, tmp_path: Path) -> Mapping[str, Any]:
    """A day in the life of an instance: videos, reports, a neighbour that does not answer, a task that failed."""
    now = clock.now()
    captions = [
        "First stretch of the day. Nobody rushes him. #morning #meadow",
        "Butterfly on a nose #meadow",
        "Why I left the burrow",
    ]
    made = [site.video(people.bob, tmp_path, caption=text) for text in captions]
    Video.objects.filter(pk=made[2].pk).update(state="failed", failure="This file is damaged or incomplete.", poster_file="")
    videos.comment(video=made[0], by=people.charlie, text="He looks like my uncle.")
    report = moderation.report(
        reporter=people.charlie,
        target=people.bob,
        video=made[1],
        reason="copyright",
        text="This scene is from a film I made in 2008.",
    )
    moderation.report(
        reporter=people.charlie, target=people.dora, reason="spam", text="Forty times the same link since yesterday."
    )
    Peer.objects.filter(host="peer.example").update(
        software="mastodon",
        version="4.7.4",
        failures=7,
        open_until=now + timedelta(minutes=20),
        last_error="503 Service Unavailable",
    )
    errors = ["503 Service Unavailable: upstream connect error", "peer.example did not answer within 15 s", ""]
    deliveries = [
        Delivery.objects.create(
            activity_uri=f"{site.origin}/users/bob/posts/{video.pk}/activity",
            kind="Create",
            body='{"@context": "https://www.w3.org/ns/activitystreams", "type": "Create", "object": {"type": "Note", "content": "<p>First stretch of the day.</p>"}}',
            sender=people.bob,
            inbox="https://peer.example/inbox",
            host="peer.example",
            state=state,
            attempts=9 - place,
            created_at=now - timedelta(hours=place + 1),
            expires_at=now + timedelta(days=6),
            answered_status=503 if place == 0 else None,
            last_error=errors[place],
        )
        for place, (video, state) in enumerate(zip(made, ("dead", "waiting", "delivered"), strict=True))
    ]
    InboxItem.objects.create(
        uri="https://peer.example/activities/77",
        actor=Actor.objects.get(account=people.dora),
        kind="Create",
        body=b'{"type": "Create"}',
        state="failed",
        error="invalid: the note has no video and answers nothing here",
    )
    task = Task.objects.create(
        fact_id="00000000-0000-4000-8000-000000000001",
        fact="UploadFinished",
        subscriber="server.videos.jobs.transcode",
        payload={"video_id": made[2].pk},
        queue="transcode",
        created_at=now - timedelta(hours=3),
        next_try_at=now,
        attempts=5,
        dead_at=now,
        last_error='Traceback (most recent call last):\n  File "server/core/worker.py", line 92, in run\n    subscriber.function(fact)\nOSError: [Errno 5] Input/output error',
    )
    assert boss.user is not None
    moderation.suspend(account=people.charlie, by_staff=boss.user, reason="Forty reports in an hour")
    return {"video": made[0], "report": report, "delivery": deliveries[0], "task": task}


def addresses(rows: Mapping[str, Any]) -> dict[str, str]:
    """The pages that are looked at, by name."""
    return {
        "overview": "/admin/",
        "videos": "/admin/videos/video/",
        "video": f"/admin/videos/video/{rows['video'].pk}/change/",
        "deliveries": "/admin/federation/delivery/",
        "delivery": f"/admin/federation/delivery/{rows['delivery'].pk}/change/",
        "reports": "/admin/moderation/report/",
        "report": f"/admin/moderation/report/{rows['report'].pk}/change/",
        "tasks": "/admin/core/task/",
        "task": f"/admin/core/task/{rows['task'].pk}/change/",
    }


def _keep(page: Page, name: str) -> None:
    folder = os.environ.get("SCREENSHOTS_DIR")
    if folder:
        page.wait_for_load_state("load")
        seen = Image.open(io.BytesIO(page.screenshot()))
        # Flat colours: a palette keeps the files small in the repository.
        seen.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(Path(folder) / f"admin-{name}.png", optimize=True)


@pytest.mark.parametrize("size", SIZES)
def test_staff_pages_fit_and_obey_the_policy(size: str, visit: Visit, boss: Account, rows: Mapping[str, Any]) -> None:
    page = visit(boss, size)
    for name, address in addresses(rows).items():
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        _keep(page, f"{name}-{size}")
        # Wide tables scroll inside their frame; the page itself does not.
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{address} is {wider} px wider than a {size}"


def test_dark_surroundings(visit: Visit, boss: Account, rows: Mapping[str, Any]) -> None:
    page = visit(boss, "desktop", color_scheme="dark")
    page.goto("/admin/")
    _keep(page, "overview-dark")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(11, 22, 25)"


@pytest.mark.parametrize("size", SIZES)
def test_a_report_is_resolved(size: str, visit: Visit, boss: Account, rows: Mapping[str, Any]) -> None:
    page = visit(boss, size)
    page.goto(addresses(rows)["report"])
    page.get_by_role("button", name="Resolve").click()
    _keep(page, f"confirm-{size}")
    page.get_by_label("Why").fill("The film is under a free licence; the source is named in the caption.")
    page.get_by_role("button", name="Resolve").click()
    page.get_by_text("Resolve: copyright: @bob").wait_for()
    report = Report.objects.get(pk=rows["report"].pk)
    assert report.resolved_at is not None
    assert AuditEntry.objects.filter(action="resolve_report", actor=boss.user).exists()


def test_nothing_is_deleted_by_one_click(visit: Visit, boss: Account, rows: Mapping[str, Any]) -> None:
    page = visit(boss, "desktop")
    page.goto(addresses(rows)["video"])
    page.get_by_role("button", name="Delete for good").click()
    page.get_by_text("This cannot be undone").wait_for()
    page.get_by_role("link", name="No, go back").click()
    page.get_by_role("heading", name="Select video to view").wait_for()
    assert Video.objects.get(pk=rows["video"].pk).state == "published"
    assert not AuditEntry.objects.filter(action="delete_video").exists()


def test_a_stranger_finds_no_staff_pages(visit: Visit, people: World, rows: Mapping[str, Any]) -> None:
    page = visit(people.dora if people.dora.user else people.bob, "desktop")
    answer = page.goto("/admin/", wait_until="load")
    assert answer is not None
    assert answer.status == 403
    visit.forgive("403")
