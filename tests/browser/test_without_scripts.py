"""Everything that matters works with scripts switched off."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from server.core import worker
from server.videos import actions
from server.videos.models import Comment, Like, Video
from tests.browser.conftest import Visit
from tests.browser.showcase import SOURCE
from tests.browser.site import Site
from tests.world import World


def plain(visit: Visit, account: object = None, size: str = "phone") -> Page:
    return visit(account, size=size, java_script_enabled=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_the_feed_is_a_list_of_videos_with_controls(visit: Visit, site: Site, people: World, tmp_path: Path, size: str):
    for number in range(8):
        site.video(people.alice, tmp_path, caption=f"Number {number}")
    page = plain(visit, people.bob, size)
    page.goto("/?tab=local")
    expect(page.locator("video[controls][src]")).to_have_count(6)
    expect(page.locator("video[poster]")).to_have_count(6)
    boxes = [page.locator("video").nth(place).bounding_box() for place in range(2)]
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"], "they stand below each other"
    for hidden in ("[data-sound]", "[data-seek]", ".stage-sign"):
        expect(page.locator(hidden).first).to_be_hidden()
    page.get_by_role("link", name="More videos").click()
    expect(page.locator("video")).to_have_count(2)


def test_like_comment_follow_and_menus(visit: Visit, site: Site, people: World, tmp_path: Path):
    video = site.video(people.alice, tmp_path)
    page = plain(visit, people.bob)
    page.goto(f"/w/{video.pk}")
    page.get_by_role("button", name="Like").click()
    expect(page.get_by_role("button", name="Like")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Your comment").fill("Without a script")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".comment-text")).to_have_text("Without a script")
    page.get_by_text("Answer", exact=True).click()
    page.get_by_label("Your answer").fill("And an answer")
    page.locator(".answer-box").get_by_role("button", name="Send").click()
    expect(page.locator(".comment-answers .comment-text")).to_have_text("And an answer")
    page.get_by_role("button", name="Follow alice").click()
    expect(page.locator(".toast")).to_contain_text("You follow alice.")
    page.locator("summary[aria-label=More]").click()
    page.get_by_role("link", name="Report").click()
    page.get_by_label("Spam or scam").check()
    page.get_by_role("button", name="Send report").click()
    expect(page.locator(".toast")).to_contain_text("Thank you.")
    assert (Like.objects.count(), Comment.objects.count()) == (1, 2)


def test_upload_studio_and_delete(visit: Visit, site: Site, people: World):
    page = plain(visit, people.alice)
    page.goto("/upload")
    page.set_input_files("input[type=file]", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"})
    page.get_by_label("Caption").fill("Plain")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("[data-errors-for=file]")).to_contain_text("Only .mp4, .mov and .webm")
    assert page.get_by_label("Caption").input_value() == "Plain"
    page.set_input_files("input[type=file]", str(SOURCE))
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/studio")
    worker.work("transcode", seconds_max=120)
    page.reload()
    expect(page.get_by_text("Published")).to_be_visible()
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Caption").fill("Plainer")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Plainer")).to_be_visible()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text("This cannot be undone.")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Nothing here yet")).to_be_visible()
    assert Video.objects.get().state == "deleted"
    visit.problems[:] = [problem for problem in visit.problems if "422" not in problem]


def test_comments_have_a_page_of_their_own(visit: Visit, site: Site, people: World, tmp_path: Path):
    video = site.video(people.alice, tmp_path)
    actions.comment(video=video, by=people.charlie, text="Hello there")
    page = plain(visit)
    page.goto(f"/w/{video.pk}/comments")
    expect(page.get_by_text("Hello there")).to_be_visible()
    expect(page.get_by_role("link", name="Log in to comment")).to_be_visible()
