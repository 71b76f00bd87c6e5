"""The feed under a thumb, a mouse and a keyboard."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from server.accounts import actions as account_actions
from server.core import clock
from server.feed.models import Seen
from server.videos import actions
from server.videos.models import Like, Rendition, Video
from tests.browser.conftest import Visit
from tests.browser.site import Site
from tests.world import World

Playing = Callable[[Page, str], float]


def active(page: Page) -> str:
    """The id of the slide that fills the screen."""
    return page.evaluate(
        """() => {
        const feed = document.querySelector("[data-feed]").getBoundingClientRect();
        return [...document.querySelectorAll("[data-slide]")].find((slide) => {
            const box = slide.getBoundingClientRect();
            return Math.abs(box.top - feed.top) < 3;
        })?.dataset.slide ?? "";
    }"""
    )


def reach(page: Page, video: Video) -> None:
    page.wait_for_function(
        """id => {
        const slide = document.querySelector(`[data-slide="${id}"]`);
        return slide && Math.abs(slide.getBoundingClientRect().top - document.querySelector("[data-feed]").getBoundingClientRect().top) < 3;
    }""",
        arg=str(video.pk),
    )


def videos(site: Site, people: World, folder: Path, count: int) -> list[Video]:
    """Published videos, newest first, by turns of alice and charlie."""
    return [
        site.video(
            people.alice if number % 2 == 0 else people.charlie,
            folder,
            caption=f"Number {number} #test",
            published_at=clock.now() - timedelta(hours=number + 1),
        )
        for number in range(count)
    ]


def of(video: Video) -> str:
    return f'[data-slide="{video.pk}"]'


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_what_is_in_view_plays_and_the_rest_rests(
    visit: Visit, site: Site, people: World, tmp_path: Path, playing: Playing, size: str
):
    every = videos(site, people, tmp_path, 5)
    page = visit(people.bob, size=size)
    page.goto("/?tab=local")
    playing(page, f"{of(every[0])} video")
    for following in every[1:3]:
        page.wait_for_function("selector => document.querySelector(selector).readyState >= 2", arg=f"{of(following)} video")
    assert page.eval_on_selector(f"{of(every[3])} video", "video => video.readyState") == 0, "only the next two are loaded"

    page.keyboard.press("j")
    reach(page, every[1])
    playing(page, f"{of(every[1])} video")
    assert page.eval_on_selector(f"{of(every[0])} video", "video => video.paused")
    page.keyboard.press("ArrowDown")
    reach(page, every[2])
    page.keyboard.press("k")
    reach(page, every[1])
    page.keyboard.press("ArrowUp")
    reach(page, every[0])
    assert page.evaluate("document.querySelectorAll('video').length") == 5
    page.wait_for_function("() => [...document.querySelectorAll('video')].filter((video) => !video.paused).length === 1")


def test_the_keys_pause_mute_like_comment_and_follow(visit: Visit, site: Site, people: World, tmp_path: Path, playing: Playing):
    (video,) = videos(site, people, tmp_path, 1)
    page = visit(people.bob, size="desktop")
    page.goto("/?tab=local")
    playing(page, "video")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('video').paused")
    expect(page.locator(".stage.is-paused")).to_have_count(1)
    page.keyboard.press("Space")
    page.wait_for_function("() => !document.querySelector('video').paused")

    assert page.eval_on_selector("video", "video => video.muted"), "a new viewer starts without sound"
    page.keyboard.press("m")
    assert not page.eval_on_selector("video", "video => video.muted")
    expect(page.get_by_role("button", name="Sound")).to_have_attribute("aria-pressed", "true")
    page.reload()
    page.keyboard.press("Shift")
    assert page.evaluate("localStorage.getItem('tributary.sound')") == "on"

    like = page.locator(f"{of(video)} [data-verb=like]")
    page.keyboard.press("l")
    expect(like).to_have_attribute("aria-pressed", "true")
    expect(like.locator("[data-count]")).to_have_text("1")
    page.keyboard.press("l")
    expect(like).to_have_attribute("aria-pressed", "false")
    expect(like.locator("[data-count]")).to_have_text("0")

    page.keyboard.press("c")
    box = page.get_by_label("Your comment")
    expect(box).to_be_visible()
    box.fill("jkl m c")
    assert box.input_value() == "jkl m c", "keys are letters while one writes"
    page.keyboard.press("Control+Enter")
    expect(page.locator("#drawer .comment-text")).to_have_text("jkl m c")
    expect(page.locator("[data-comment-count]")).to_have_text("1")
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()

    follow = page.locator(f"{of(video)} [data-verb=follow]")
    page.keyboard.press("f")
    expect(follow).to_have_attribute("aria-pressed", "true")
    expect(follow.locator("[data-follow-label]")).to_have_text("Following")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")


def test_new_pages_come_before_the_end_and_none_comes_twice(visit: Visit, site: Site, people: World, tmp_path: Path):
    every = videos(site, people, tmp_path, 15)
    page = visit(size="desktop")
    page.goto("/?tab=local")
    late = site.video(people.alice, tmp_path, caption="Too late")
    for number, video in enumerate(every):
        reach(page, video)
        if number < len(every) - 1:
            page.locator(of(every[number + 1])).wait_for(state="attached")
        page.keyboard.press("j")
    expect(page.get_by_text("You are all caught up")).to_be_in_viewport()
    shown = page.eval_on_selector_all("[data-slide]", "slides => slides.map((slide) => slide.dataset.slide)")
    assert shown == [str(video.pk) for video in every]
    assert str(late.pk) not in shown
    # Only the neighbourhood of the viewer holds video data.
    assert page.evaluate("[...document.querySelectorAll('video')].filter((video) => video.src).length") <= 4


def test_a_tap_pauses_and_a_double_tap_likes(visit: Visit, site: Site, people: World, tmp_path: Path, playing: Playing):
    (video,) = videos(site, people, tmp_path, 1)
    page = visit(people.bob)
    page.goto("/?tab=local")
    playing(page, "video")
    page.touchscreen.tap(195, 250)
    page.wait_for_function("() => document.querySelector('video').paused")
    page.touchscreen.tap(195, 250)
    page.wait_for_function("() => !document.querySelector('video').paused")
    page.wait_for_timeout(400)
    page.touchscreen.tap(195, 250)
    page.touchscreen.tap(195, 250)
    expect(page.locator(".stage-heart")).to_have_count(1)
    expect(page.locator("[data-verb=like]")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(900)
    page.touchscreen.tap(195, 250)
    page.touchscreen.tap(195, 250)
    page.wait_for_timeout(400)
    expect(page.locator("[data-verb=like]")).to_have_attribute("aria-pressed", "true")
    assert Like.objects.get().video_id == video.pk, "a second double tap does not take the like back"
    assert not page.eval_on_selector("video", "video => video.paused")


def test_the_drawer_on_a_phone(visit: Visit, site: Site, people: World, tmp_path: Path):
    (video,) = videos(site, people, tmp_path, 1)
    first = actions.comment(video=video, by=people.charlie, text="Where is this?")
    page = visit(people.bob)
    page.goto("/?tab=local")
    page.get_by_role("link", name="Comments").click()
    drawer = page.locator("#drawer")
    expect(drawer.get_by_text("Where is this?")).to_be_visible()
    drawer.get_by_text("Answer", exact=True).click()
    drawer.get_by_label("Your answer").fill("Behind the mill.")
    drawer.locator(".answer-box").get_by_role("button", name="Send").click()
    expect(drawer.locator(".comment-answers .comment-text")).to_have_text("Behind the mill.")
    expect(page.locator("[data-comment-count]")).to_have_text("2")
    drawer.get_by_role("button", name="Delete").click()
    expect(drawer.get_by_text("Behind the mill.")).to_have_count(0)
    expect(page.locator("[data-comment-count]")).to_have_text("1")
    drawer.get_by_role("button", name="Close comments").click()
    expect(drawer).to_be_hidden()
    first.refresh_from_db()
    assert first.deleted_at is None


def test_one_follow_changes_every_button_of_that_person(visit: Visit, site: Site, people: World, tmp_path: Path):
    every = videos(site, people, tmp_path, 3)
    page = visit(people.bob)
    page.goto("/?tab=local")
    page.locator(f"{of(every[0])} [data-verb=follow]").click()
    expect(page.locator(f"{of(every[2])} [data-verb=follow]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(f"{of(every[1])} [data-verb=follow]")).to_have_attribute("aria-pressed", "false")


def test_a_remote_follow_is_asked_for(visit: Visit, site: Site, people: World, tmp_path: Path, playing: Playing):
    site.remote_video(people.dora, tmp_path, caption_html="<p>Tide</p>")
    page = visit(people.bob)
    page.goto("/?tab=federated")
    playing(page, "video")
    assert page.eval_on_selector("video", "video => video.src").endswith(".mp4"), "remote videos play their MP4"
    page.locator("[data-verb=follow]").click()
    expect(page.locator("[data-follow-label]")).to_have_text("Asked")
    expect(page.locator(".person-acct")).to_contain_text("@dora@peer.example")


def test_a_visitor_is_taken_to_log_in_and_back(visit: Visit, site: Site, people: World, tmp_path: Path):
    videos(site, people, tmp_path, 1)
    page = visit()
    page.goto("/?tab=local")
    page.get_by_role("button", name="Like").click()
    page.wait_for_url("**/account/login/?next=%2F%3Ftab%3Dlocal")
    visit.forgive("401")
    page.get_by_label("Email").fill("bob@example.org")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/?tab=local")
    assert not Like.objects.exists()


def test_a_refusal_takes_the_promise_back(visit: Visit, site: Site, people: World, tmp_path: Path):
    (video,) = videos(site, people, tmp_path, 1)
    page = visit(people.bob)
    page.goto("/?tab=local")
    account_actions.block(account=people.alice, target=people.bob)
    like = page.locator(f"{of(video)} [data-verb=like]")
    like.click()
    expect(page.locator(".toast-error")).to_contain_text("There is no such video.")
    expect(like).to_have_attribute("aria-pressed", "false")
    expect(like.locator("[data-count]")).to_have_text("0")
    visit.forgive("404")


def test_when_streaming_fails_the_mp4_plays(visit: Visit, site: Site, people: World, tmp_path: Path, playing: Playing):
    videos(site, people, tmp_path, 1)
    Rendition.objects.all().delete()
    page = visit(people.bob)
    page.goto("/?tab=local")
    playing(page, "video")
    assert page.eval_on_selector("video", "video => video.src").endswith(".mp4")
    visit.forgive("404")


def test_a_video_that_cannot_be_played_says_so(visit: Visit, site: Site, people: World, tmp_path: Path):
    site.remote_video(people.dora, tmp_path, remote_mp4_url=f"{site.origin}/media/ab/{'0' * 64}.mp4")
    page = visit(people.bob)
    page.goto("/?tab=federated")
    expect(page.locator(".stage-error")).to_contain_text("cannot be played right now")
    visit.forgive("404")


def test_what_was_watched_is_reported_when_one_moves_on(
    visit: Visit, site: Site, people: World, tmp_path: Path, playing: Playing
):
    every = videos(site, people, tmp_path, 2)
    page = visit(people.bob)
    page.goto("/?tab=local")
    playing(page, f"{of(every[0])} video")
    page.wait_for_timeout(2_200)
    with page.expect_request("**/watched") as report:
        page.keyboard.press("j")
    response = report.value.response()
    assert response
    assert response.status == 204
    seen = Seen.objects.get(account=people.bob)
    assert seen.video_id == every[0].pk
    assert 1_500 < seen.watched_ms < 8_000
    every[0].refresh_from_db()
    assert every[0].view_count == 1
    playing(page, f"{of(every[1])} video")
    page.goto("about:blank")
    for _ in range(50):
        if Seen.objects.filter(account=people.bob, video=every[1]).exists():
            break
        page.wait_for_timeout(100)
    assert Seen.objects.filter(account=people.bob, video=every[1]).exists(), "leaving the site reports too"


def test_a_sensitive_video_stays_covered_until_asked(visit: Visit, site: Site, people: World, tmp_path: Path, playing: Playing):
    site.video(people.alice, tmp_path, sensitive=True)
    page = visit(people.bob)
    page.goto("/?tab=local")
    cover = page.get_by_role("button", name="Sensitive video")
    expect(cover).to_be_visible()
    page.wait_for_timeout(500)
    assert page.eval_on_selector("video", "video => video.paused && !video.src")
    cover.click()
    playing(page, "video")
    expect(cover).to_have_count(0)


def test_reduced_motion_starts_nothing_by_itself(visit: Visit, site: Site, people: World, tmp_path: Path, playing: Playing):
    videos(site, people, tmp_path, 2)
    page = visit(people.bob, reduced_motion="reduce")
    page.goto("/?tab=local")
    expect(page.locator(".stage.is-paused").first).to_be_visible()
    page.wait_for_timeout(600)
    assert page.evaluate("[...document.querySelectorAll('video')].every((video) => video.paused)")
    page.keyboard.press("Space")
    playing(page, "video")


def test_long_captions_fold_and_unfold(visit: Visit, site: Site, people: World, tmp_path: Path):
    site.video(people.alice, tmp_path, caption="A long story about a river. " * 12)
    page = visit(people.bob)
    page.goto("/?tab=local")
    before = page.locator("[data-fold]").bounding_box()
    page.locator(".slide-more").click()
    expect(page.locator(".slide-more")).to_have_text("Less")
    after = page.locator("[data-fold]").bounding_box()
    assert before
    assert after
    assert after["height"] > before["height"] * 1.5


def test_the_link_is_copied(visit: Visit, site: Site, people: World, tmp_path: Path):
    (video,) = videos(site, people, tmp_path, 1)
    page = visit(people.bob, size="desktop", permissions=["clipboard-read", "clipboard-write"])
    page.goto("/?tab=local")
    page.get_by_role("link", name="Copy the link").click()
    expect(page.locator(".toast")).to_contain_text("Link copied.")
    assert page.evaluate("navigator.clipboard.readText()") == f"{site.origin}/w/{video.pk}"


def test_menus_close_when_one_looks_elsewhere(visit: Visit, site: Site, people: World, tmp_path: Path):
    videos(site, people, tmp_path, 1)
    page = visit(people.bob, size="desktop")
    page.goto("/?tab=local")
    page.locator("summary[aria-label=More]").click()
    expect(page.get_by_role("link", name="Report")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Report")).to_be_hidden()
    page.locator("summary[aria-label=More]").click()
    page.get_by_role("button", name="Mute alice").click()
    page.wait_for_url("**/")
    expect(page.locator(".toast")).to_contain_text("You muted alice.")
    expect(page.locator("[data-slide]")).to_have_count(0)


def test_a_hidden_page_rests_and_goes_on_only_if_it_played(
    visit: Visit, site: Site, people: World, tmp_path: Path, playing: Playing
):
    videos(site, people, tmp_path, 1)
    page = visit(people.bob)
    page.goto("/?tab=local")
    playing(page, "video")

    def hide(*, hidden: bool) -> None:
        page.evaluate(
            """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
            hidden,
        )

    hide(hidden=True)
    assert page.eval_on_selector("video", "video => video.paused")
    hide(hidden=False)
    page.wait_for_function("() => !document.querySelector('video').paused")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('video').paused")
    hide(hidden=True)
    hide(hidden=False)
    page.wait_for_timeout(300)
    assert page.eval_on_selector("video", "video => video.paused"), "what the viewer stopped stays stopped"


def test_the_next_video_shows_its_first_frame_at_once(visit: Visit, site: Site, people: World, tmp_path: Path, playing: Playing):
    every = videos(site, people, tmp_path, 6)
    page = visit(people.bob)
    page.goto("/?tab=local")
    playing(page, f"{of(every[0])} video")
    waits = []
    for number in range(1, 5):
        page.wait_for_function("selector => document.querySelector(selector).readyState >= 2", arg=f"{of(every[number])} video")
        waits.append(
            page.evaluate(
                """selector => new Promise((resolve) => {
                const video = document.querySelector(selector);
                const slide = video.closest("[data-slide]");
                let shown;
                new IntersectionObserver((entries, observer) => {
                    if (!entries.some((entry) => entry.isIntersecting)) return;
                    observer.disconnect();
                    shown = performance.now();
                }, { threshold: 0.6 }).observe(slide);
                video.addEventListener("playing", () => resolve(performance.now() - (shown ?? performance.now())), { once: true });
                slide.scrollIntoView({ behavior: "smooth" });
            })""",
                f"{of(every[number])} video",
            )
        )
        reach(page, every[number])
    # The target is 300 ms; a busy machine may take one breath.
    assert sorted(waits)[1] <= 300, waits


@pytest.mark.parametrize(
    "screen",
    [(320, 640), (390, 844), (768, 1024), (844, 390), (1280, 800), (1920, 1080)],
    ids=lambda screen: f"{screen[0]}x{screen[1]}",
)
def test_the_picture_fills_its_stage_and_no_more(
    visit: Visit, site: Site, people: World, tmp_path: Path, screen: tuple[int, int]
):
    site.video(people.alice, tmp_path)
    site.video(people.alice, tmp_path, width=1280, height=720)
    site.video(people.alice, tmp_path, width=720, height=720)
    page = visit(people.bob, size="desktop", viewport={"width": screen[0], "height": screen[1]}, reduced_motion="reduce")
    page.goto("/?tab=local")
    sizes = page.evaluate(
        """() => [...document.querySelectorAll("[data-player]")].map((stage) => {
        const [outer, inner, slide] = [stage, stage.querySelector("video"), stage.closest("[data-slide]")].map((each) => each.getBoundingClientRect());
        return [outer.width - inner.width, outer.height - inner.height, slide.width - outer.width, slide.height - outer.height].map(Math.round);
    })"""
    )
    assert len(sizes) == 3
    for across, down, beside, below in sizes:
        assert (across, down) == (0, 0)
        assert beside >= 0
        assert below >= 0
