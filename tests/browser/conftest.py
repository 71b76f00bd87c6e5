"""A real Chromium that looks at a real site. Every test ends with: no console error, no CSP violation, no failed script."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from server.accounts.models import Account
from tests import world as world_module
from tests.browser.site import Site, own_database, served

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
SIZES: dict[str, dict[str, Any]] = {
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2},
    "desktop": {"viewport": {"width": 1280, "height": 800}},
}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. A machine without it cannot run these tests, and says so."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: apt-get install chromium (script/test does it)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def _collected() -> None:
    """The static files as production serves them: hashed names, rewritten imports."""
    ignored = ["drf_spectacular_sidecar", "gis", "rest_framework", "admin", "oauth2_provider"]
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=ignored)


@pytest.fixture(autouse=True)
def _plain_static_names(settings: Any, _collected: None) -> None:
    """Unlike other tests, these use the hashed names."""
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "server.web.staticfiles.HashedStaticFiles"}}


@pytest.fixture
def site(
    settings: Any,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
    django_db_blocker: Any,
) -> Iterator[Site]:
    """A site with an empty database."""
    with django_db_blocker.unblock(), own_database(Path(tmp_path_factory.mktemp("site"))), served() as port:
        settings.ORIGIN = f"http://localhost:{port}"
        settings.HOST = f"localhost:{port}"
        settings.CSRF_TRUSTED_ORIGINS = [settings.ORIGIN]
        settings.ACCOUNT_RATE_LIMITS = False
        yield Site(settings.ORIGIN)


@pytest.fixture
def people(site: Site) -> world_module.World:
    """Alice, bob, charlie and dora, on the site."""
    return world_module.make()


@dataclass
class Visit:
    """Opens pages and remembers what went wrong on them."""

    browser: Browser
    site: Site
    problems: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(self, account: Account | None = None, size: str = "phone", **options: Any) -> Page:
        """A page of ``account`` (None: a visitor) in a browser of its own."""
        context = self.browser.new_context(base_url=self.site.origin, **{**SIZES[size], **options})
        context.set_default_timeout(10_000)
        if account is not None:
            context.add_cookies([self.site.session_of(account)])
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"{message.type}: {message.text} ({message.location})")

    def forgive(self, part: str) -> None:
        """Forget problems that a test provoked: each must be there."""
        rest = [problem for problem in self.problems if part not in problem]
        assert len(rest) < len(self.problems), f"expected a problem with {part!r}, found {self.problems}"
        self.problems[:] = rest


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    """See ``Visit``."""
    made = Visit(browser, site)
    yield made
    for context in made.contexts:
        context.close()
    assert made.problems == []


@pytest.fixture
def playing() -> Callable[[Page, str], float]:
    """Wait until the video at ``selector`` has moved on, and return how far."""

    def wait(page: Page, selector: str = "video") -> float:
        page.wait_for_function(
            "selector => { const video = document.querySelector(selector); return video && !video.paused && video.currentTime > 0.2 }",
            arg=selector,
            timeout=20_000,
        )
        return float(page.eval_on_selector(selector, "video => video.currentTime"))

    return wait
