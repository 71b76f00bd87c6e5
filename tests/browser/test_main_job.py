"""The main job in a real browser: sign up, upload, see it get ready, watch, like, comment, follow."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from server.core import worker
from server.videos.models import Video
from tests import world as world_module
from tests.browser.conftest import Visit
from tests.browser.showcase import SOURCE


def sign_up(page: Page, handle: str) -> None:
    page.goto("/account/signup/")
    page.get_by_label("Handle").fill(handle)
    page.get_by_label("Email").fill(f"{handle}@example.org")
    page.get_by_label("Password").fill(world_module.PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/settings/identity/keys?new")
    page.get_by_role("button", name="Later").click()
    page.wait_for_url("**/")


def test_from_sign_up_to_a_comment_on_ones_own_video(visit: Visit, playing: Callable[[Page, str], float]):
    page = visit(size="phone")
    sign_up(page, "erin")
    page.get_by_role("link", name="Upload").first.click()
    page.wait_for_url("**/upload")
    page.set_input_files("input[type=file]", str(SOURCE))
    expect(page.locator("[data-file-name]")).to_contain_text("bigbuckbunny.mp4")
    page.get_by_label("Caption").fill("Good morning #bunny")
    page.get_by_label("Description for people").fill("A rabbit climbs out of his burrow.")
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/studio")
    expect(page.get_by_text("Being prepared").first).to_be_visible()
    expect(page.locator(".toast")).to_contain_text("Your video is here.")

    worker.work("transcode", seconds_max=120)
    # The page asks again by itself.
    expect(page.get_by_text("Published")).to_be_visible(timeout=15_000)
    page.get_by_role("link", name="Good morning #bunny").click()
    page.wait_for_url("**/w/*")
    assert playing(page, "video") > 0.2
    assert page.eval_on_selector("video", "video => video.videoWidth") > 0
    assert page.eval_on_selector("video", "video => video.src.startsWith('blob:')"), "streamed by hls.js"

    like = page.get_by_role("button", name="Like")
    like.click()
    expect(like).to_have_attribute("aria-pressed", "true")
    expect(like.locator("[data-count]")).to_have_text("1")
    page.get_by_label("Your comment").fill("He is still half asleep.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".comment-text")).to_contain_text("He is still half asleep.")
    expect(page.locator("[data-comment-count]")).to_have_text("1")
    page.reload()
    expect(page.get_by_role("button", name="Like")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".comment-text")).to_contain_text("half asleep")
    video = Video.objects.get()
    assert (video.like_count, video.comment_count, video.alt_text) == (1, 1, "A rabbit climbs out of his burrow.")


def test_log_in_by_hand_and_out_again(visit: Visit, people: world_module.World):
    page = visit(size="desktop")
    page.goto("/studio")
    page.get_by_label("Email").fill("bob@example.org")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill(world_module.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/studio")
    expect(page.get_by_text("Nothing here yet")).to_be_visible()
    page.get_by_role("link", name="Log out").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.locator(".toast")).to_contain_text("You are logged out.")
