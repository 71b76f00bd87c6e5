"""Take the pictures of ``docs/screenshots/``: a small community on a real server, looked at through a real Chromium.

``script/screenshots [NAME...]`` takes all of them, or the named ones.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

import tests.environment  # noqa: F401 (first of all: it makes the throw-away data directory that the settings read)

FOLDER = Path(__file__).parent.parent.parent / "docs" / "screenshots"
BYTES_MAX = 150_000
NAME, WORDS = "River Commons", "Short videos by people who live along the water."
SHAPES = {
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True},
    "desktop": {"viewport": {"width": 1280, "height": 800}, "device_scale_factor": 1},
}
# name -> (who looks, where, what to do before the picture)
Prepare = Callable[..., None]


def pages(watch: str, period: int, close: int) -> dict[str, tuple[str, str, Prepare]]:
    """What is shown. Light on one shape and dark on the other would hide half: every page is taken in both."""
    return {
        "feed": ("mina", "/?tab=local", playing),
        "comments": ("mina", "/?tab=local", with_comments),
        "watch": ("bob", watch, playing),
        "profile": ("erin", "/@alice", still),
        "remote-profile": ("alice", "/@dora@peer.example", still),
        "upload": ("alice", "/upload", still),
        "studio": ("alice", "/studio", still),
        "discover": ("alice", "/search", still),
        "search": ("alice", "/search?q=meadow", still),
        "settings": ("alice", "/settings/profile", still),
        "sign-up": ("", "/account/signup/", still),
        "error": ("", "/no/such/page", still),
        "verify": ("", "/ledger/verify", with_verdict),
        "components": ("alice", "/components", still),
        "admin": ("root", "/admin/videos/video/", still),
        "money-wallet": ("alice", "/wallet", still),
        "money-terms": ("alice", "/wallet/sign?debtor=river.example/ledger/1", still),
        "money-sponsors": ("root", "/staff/sponsors", still),
        "money-period": ("root", f"/staff/periods/{period}", still),
        "money-agreements": ("root", "/staff/agreements", still),
        "money-ledgers": ("root", "/staff/ledgers", still),
        "ledger": ("", "/ledger/", still),
        "ledger-entry": ("", f"/ledger/entries/{close + 1}", at_the_proof),
        "ledger-settlement": ("", f"/ledger/settlements/{close}", still),
        "ledger-settlements": ("", "/ledger/settlements", still),
        "ledger-peers": ("", "/ledger/peers", still),
        "identity": ("alice", "/settings/identity", still),
        "identity-move": ("alice", "/settings/identity/leave", still),
    }


def still(page: Page) -> None:
    """Wait for pictures and fonts."""
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")


def playing(page: Page) -> None:
    """Wait until the rabbit stands upright."""
    page.wait_for_function(
        "() => [...document.querySelectorAll('video')].some((video) => !video.paused && video.currentTime > 2.2)", timeout=30_000
    )


def with_comments(page: Page) -> None:
    """Open the drawer as a thumb does."""
    playing(page)
    page.locator("[data-comments]").first.click()
    page.locator("#drawer .comment-text").first.wait_for()
    page.mouse.move(5, 5)
    page.locator("#drawer-title").evaluate("() => document.activeElement.blur()")
    page.wait_for_timeout(400)


def with_verdict(page: Page) -> None:
    """Let the page check the golden statement."""
    from tests.browser.verifier import good_statement

    file = {"name": "statement-alice.statement.json.gz", "mimeType": "application/gzip", "buffer": good_statement()}
    page.set_input_files("input[type=file]", file)
    page.get_by_role("heading", name="Verified").wait_for()
    still(page)
    page.evaluate("window.scrollTo(0, document.querySelector('[data-verifier]').offsetTop - 16)")


def at_the_proof(page: Page) -> None:
    """Where the tree is."""
    still(page)
    page.locator("#proof").evaluate("(heading) => heading.scrollIntoView()")


def small(png: bytes) -> bytes:
    """The picture as a JPEG that is at most ``BYTES_MAX`` long."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in range(88, 30, -4):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, optimize=True, progressive=True)
        if out.tell() <= BYTES_MAX:
            break
    return out.getvalue()


def main(wanted: list[str]) -> None:
    """Build the community, serve it, look at it."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client
    from django.test.utils import override_settings
    from playwright.sync_api import sync_playwright

    from payouts.models import LogEntry
    from server.accounts.models import User
    from server.videos.models import Video
    from tests.browser import showcase, treasury
    from tests.browser.conftest import ARGUMENTS, CHROMIUM
    from tests.browser.site import served

    call_command("migrate", verbosity=0)
    call_command(
        "collectstatic", interactive=False, verbosity=0, ignore_patterns=["drf_spectacular_sidecar", "gis", "rest_framework"]
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    with served() as port, tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        origin = f"http://localhost:{port}"
        with override_settings(
            ORIGIN=origin, HOST="river.example", INSTANCE_NAME=NAME, INSTANCE_DESCRIPTION=WORDS, CSRF_TRUSTED_ORIGINS=[origin]
        ):
            people = showcase.settle(origin, Path(scratch))
            showcase.workbench(people["alice"], Path(scratch))
            users = {handle: account.user for handle, account in people.items() if account.user is not None}
            users["root"] = User.objects.create_superuser("root@example.org", showcase.PASSWORD)
            second = User.objects.create_superuser("second@example.org", showcase.PASSWORD)
            period = treasury.fill(users["root"], second, people["alice"])
            close = LogEntry.objects.get(type="close").index
            stretch = Video.objects.get(caption__startswith="First stretch")
            chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
            for shape, options in SHAPES.items():
                for scheme in ("light", "dark"):
                    for name, (who, where, prepare) in pages(f"/w/{stretch.pk}", period.pk, close).items():
                        if wanted and name not in wanted:
                            continue
                        context = chromium.new_context(base_url=origin, color_scheme=scheme, **options)
                        if who:
                            client = Client()
                            client.force_login(users[who])
                            cookie = client.cookies[settings.SESSION_COOKIE_NAME]
                            context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": origin}])
                        page = context.new_page()
                        page.goto(where)
                        prepare(page)
                        target = FOLDER / f"{name}-{shape}-{scheme}.jpg"
                        target.write_bytes(small(page.screenshot()))
                        print(f"{target.relative_to(FOLDER.parent.parent)}  {target.stat().st_size // 1000} kB", flush=True)
                        context.close()
            chromium.close()


if __name__ == "__main__":
    main(sys.argv[1:])
