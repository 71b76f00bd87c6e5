"""Upload and studio with scripts: looked at before it is sent, errors beside the field, cancelled, deleted after asking."""

import io
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from playwright.sync_api import Page, Route, expect

from server.core import worker
from server.videos import actions
from server.videos.drafts import VideoDraft
from server.videos.models import Upload, Video
from tests.browser.conftest import Visit
from tests.browser.showcase import SOURCE
from tests.browser.site import Site
from tests.world import World


def opened(visit: Visit, people: World) -> Page:
    page = visit(people.alice, size="desktop")
    page.goto("/upload")
    return page


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("notes.txt", b"hello", "Only .mp4, .mov and .webm"),
        ("empty.mp4", b"", "The file is empty."),
        (None, b"", "Choose a video file."),
    ],
)
def test_a_wrong_file_is_refused_before_it_is_sent(visit: Visit, people: World, name: str | None, data: bytes, words: str):
    page = opened(visit, people)
    page.on("request", lambda request: (_ for _ in ()).throw(AssertionError("sent")) if request.method == "POST" else None)
    if name is not None:
        page.set_input_files("input[type=file]", {"name": name, "mimeType": "video/mp4", "buffer": data})
    page.get_by_role("button", name="Upload").click()
    error = page.locator("[data-errors-for=file] .field-errors")
    expect(error).to_contain_text(words)
    field = page.locator("input[type=file]")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert field.get_attribute("aria-describedby") == error.get_attribute("id")
    expect(field).to_be_focused()


def test_a_file_over_the_limit_is_refused_on_both_sides(visit: Visit, people: World, settings):
    settings.UPLOAD_BYTES_MAX = 200_000
    page = opened(visit, people)
    page.set_input_files("input[type=file]", str(SOURCE))
    expect(page.locator("[data-errors-for=file]")).to_contain_text("The file is larger than")
    # Whoever goes round our script meets the server's limit, in the same place.
    page.eval_on_selector("[data-upload]", "form => { form.dataset.bytesMax = '999999999' }")
    page.set_input_files("input[type=file]", str(SOURCE))
    page.get_by_label("Caption").fill("Stays")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("[data-errors-for=file]")).to_contain_text("The file is larger than")
    assert page.get_by_label("Caption").input_value() == "Stays"
    expect(page.get_by_role("button", name="Upload")).to_be_enabled()
    assert not Upload.objects.exists()
    visit.forgive("413")


def test_the_servers_word_stands_beside_the_field_it_means(visit: Visit, people: World):
    page = opened(visit, people)
    page.set_input_files("input[type=file]", str(SOURCE))
    page.eval_on_selector(
        "textarea[name=caption]", "area => { area.removeAttribute('maxlength'); area.value = 'x'.repeat(2300) }"
    )
    page.get_by_role("button", name="Upload").click()
    field = page.locator(".field", has=page.locator("textarea[name=caption]"))
    expect(field.locator(".field-errors")).to_contain_text("at most 2200 characters")
    expect(page.get_by_label("Caption")).to_be_focused()
    visit.forgive("422")


def test_progress_is_shown_and_can_be_cancelled(visit: Visit, people: World):
    page = opened(visit, people)
    held: list[Route] = []
    page.route("**/upload", lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
    page.set_input_files("input[type=file]", str(SOURCE))
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("progressbar", name="Upload progress")).to_be_visible()
    expect(page.get_by_role("button", name="Upload")).to_be_disabled()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".toast")).to_contain_text("Cancelled.")
    expect(page.get_by_role("button", name="Upload")).to_be_enabled()
    assert not Video.objects.exists()
    for route in held:
        route.abort()


def test_a_broken_connection_keeps_the_words(visit: Visit, people: World):
    page = opened(visit, people)
    page.route("**/upload", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    page.set_input_files("input[type=file]", str(SOURCE))
    page.get_by_label("Caption").fill("Still here")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".toast-error")).to_contain_text("The connection broke.")
    assert page.get_by_label("Caption").input_value() == "Still here"
    visit.forgive("ERR_FAILED")


def test_a_dropped_file_is_taken(visit: Visit, people: World):
    page = opened(visit, people)
    page.evaluate(
        """() => {
        const data = new DataTransfer();
        data.items.add(new File(["x"], "dropped.mp4", { type: "video/mp4" }));
        const input = document.querySelector("input[type=file]");
        input.dispatchEvent(new DragEvent("dragenter", { dataTransfer: data, bubbles: true }));
        input.files = data.files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
        input.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
    }"""
    )
    expect(page.locator("[data-file-name]")).to_contain_text("dropped.mp4")
    assert not page.eval_on_selector("[data-drop]", "drop => drop.classList.contains('is-over')")


def test_deleting_asks_first(visit: Visit, site: Site, people: World, tmp_path: Path):
    video = site.video(people.alice, tmp_path, caption="Soon gone")
    page = visit(people.alice)
    page.goto("/studio")
    page.get_by_role("link", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this video?")
    expect(dialog).to_contain_text("This cannot be undone.")
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("link", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/studio")
    expect(page.get_by_text("Nothing here yet")).to_be_visible()
    video.refresh_from_db()
    assert video.state == "deleted"


def test_a_failed_video_is_explained_and_tried_again(visit: Visit, people: World):
    data = SOURCE.read_bytes()[:40_000]
    actions.upload_file(account=people.alice, filename="cut.mp4", stream=io.BytesIO(data), size=len(data), draft=VideoDraft())
    worker.work("transcode", seconds_max=60)
    page = visit(people.alice)
    page.goto("/studio")
    expect(page.locator(".work-failure")).to_contain_text("The file ends early")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".toast")).to_contain_text("Trying again.")
    expect(page.get_by_role("progressbar")).to_be_visible()


def test_nothing_of_a_refused_upload_stays(visit: Visit, people: World):
    before = set(django_settings.UPLOAD_DIR.iterdir())
    page = opened(visit, people)
    page.set_input_files("input[type=file]", {"name": "broken.webm", "mimeType": "video/webm", "buffer": b"not a video"})
    page.get_by_label("Caption").fill("x")
    page.eval_on_selector(
        "textarea[name=caption]", "area => { area.removeAttribute('maxlength'); area.value = 'x'.repeat(2300) }"
    )
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".field-errors")).to_have_count(1)
    assert set(django_settings.UPLOAD_DIR.iterdir()) == before
    visit.forgive("422")
