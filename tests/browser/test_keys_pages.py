"""Keys in the owner's hands, by a person in a real browser: taken at sign-up or later, used, put off; and nothing secret is sent."""

import base64
import re
import unicodedata
from pathlib import Path
from typing import Any

import base58
import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect

from payouts.models import Acceptance
from server.accounts.models import Account
from server.core import clock
from server.identity import keylog, mnemonic, owner, queries
from server.identity.models import CustodyKey
from server.web import offline_page
from tests.browser.conftest import Visit
from tests.browser.site import Site
from tests.server.owners import owner_of
from tests.server.test_pages_money import earned, staff
from tests.world import PASSWORD, World

KEYS = "/settings/identity/keys"
VENDOR = Path(__file__).parent / "vendor"


class Traffic:
    """Every byte that the browser sends: addresses, headers, bodies."""

    def __init__(self, page: Page) -> None:
        self.sent: list[bytes] = []
        page.context.on("request", self._note)

    def _note(self, request: Any) -> None:
        headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        self.sent.append(f"{request.method} {request.url}\n{headers}\n".encode() + (request.post_data_buffer or b""))

    def check(self, secrets: list[bytes]) -> None:
        """None of the secrets, in any spelling."""
        whole = b"\n".join(self.sent)
        assert len(self.sent) > 3
        for secret in secrets:
            for spelling in spellings(secret):
                assert spelling not in whole, spelling


def spellings(secret: bytes) -> set[bytes]:
    found = {secret, secret.hex().encode(), secret.hex().upper().encode(), base58.b58encode(secret)}
    for shift in range(3):
        # Inside of a longer base64 text a secret may begin at any of three places.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(bytes(shift) + secret)
            found.add(text[4 if shift else 0 : len(text) - 4])
    return found


def secrets_of(words: str) -> list[bytes]:
    seed = mnemonic.seed(words)
    keys = [bytes(mnemonic.paper_key(seed, 0)), bytes(mnemonic.paper_key(seed, 1)), bytes(mnemonic.user_key(seed, 0))]
    sentence = unicodedata.normalize("NFKD", words)
    return [mnemonic.entropy(words), seed, *keys, bytes(mnemonic.box_key(seed)), sentence.encode(), words.encode()]


def make_words(page: Page, *, language: str = "english", recovery: bool = True) -> str:
    page.get_by_label("Language of the words").select_option(language)
    if not recovery:
        page.get_by_label("This server may help me if I lose the words").uncheck()
    page.get_by_role("button", name="Make my words").click()
    expect(page.get_by_role("heading", name="Write these words down")).to_be_focused()
    words = page.locator('[data-step="words"] [data-words] li').all_text_contents()
    assert len(words) == 24
    return ("\u3000" if language == "japanese" else " ").join(words)


def answer_three(page: Page, words: str, *, wrong: bool = False) -> None:
    for field in page.locator("[data-asked]").all():
        number = int(re.sub(r"\D", "", field.locator("label").text_content() or ""))
        field.locator("input").fill("wrong" if wrong else words.split()[number - 1])
    page.get_by_role("button", name="Go on").click()


def take(page: Page, words: str) -> None:
    page.get_by_role("button", name="I have them").click()
    answer_three(page, words)
    page.get_by_label("Your password here").fill(PASSWORD)
    page.get_by_role("button", name="Take my keys").click()
    expect(page.get_by_role("heading", name="Your keys are yours")).to_be_visible()


def no_wider(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_from_sign_up_to_keys_of_ones_own_and_nothing_secret_is_sent(visit: Visit, site: Site) -> None:
    """A15, the first half."""
    page = visit(None, "phone")
    traffic = Traffic(page)
    page.goto("/account/signup/")
    page.get_by_label("Handle").fill("erin")
    page.get_by_label("Email").fill("erin@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/settings/identity/keys?new")
    words = make_words(page)
    assert no_wider(page)
    take(page, words)
    expect(page.locator("[data-device]")).to_be_visible()
    traffic.check(secrets_of(words))
    account = Account.objects.get(handle="erin")
    identity = queries.by_scid(account.scid or "")
    log, seed = queries.log_of(identity), mnemonic.seed(words)
    assert owner.standing(log, seed) == owner.Standing(paper=0, user=0)
    assert (log.custody, [key.role for key in CustodyKey.objects.filter(identity=identity)]) == ("owner", ["custodian"])
    # The words are gone from the page, and no list of them was fetched but the one.
    assert words.split()[0] not in page.locator(".kit-sheet [data-words]").text_content()
    page.get_by_role("link", name="Done").click()
    page.wait_for_url("**/")


@pytest.mark.parametrize(("size", "language"), [("phone", "japanese"), ("desktop", "french")])
def test_later_and_in_another_language(visit: Visit, people: World, size: str, language: str) -> None:
    """A20, A21."""
    page = visit(people.alice, size)
    page.goto("/settings/identity")
    expect(page.get_by_text("Your keys are with this server.")).to_be_visible()
    page.get_by_role("button", name="Remind me in 7 days").click()
    page.goto("/settings/identity")
    expect(page.get_by_text("Your keys are with this server.")).to_be_hidden()
    expect(page.get_by_text("keys with this server")).to_be_visible()
    assert no_wider(page)
    page.get_by_role("main").get_by_role("link", name="Take your keys").click()
    words = make_words(page, language=language, recovery=False)
    assert no_wider(page)
    page.get_by_role("button", name="I have them").click()
    answer_three(page, words, wrong=True)
    expect(page.get_by_role("alert")).to_contain_text("Not quite")
    page.get_by_role("button", name="Show them again").click()
    page.get_by_role("button", name="I have them").click()
    answer_three(page, words)
    page.get_by_label("Your password here").fill("not my password")
    page.get_by_role("button", name="Take my keys").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not your password.")
    visit.forgive("422")
    assert queries.by_scid(people.alice.scid).custody == "server"
    page.get_by_label("Your password here").fill(PASSWORD)
    page.get_by_role("button", name="Take my keys").click()
    expect(page.get_by_role("heading", name="Your keys are yours")).to_be_visible()
    identity = queries.by_scid(people.alice.scid)
    assert not CustodyKey.objects.filter(identity=identity).exists()
    # What was typed on paper restores, in whichever form a keyboard gives it.
    for form in ("NFC", "NFKD"):
        seed = mnemonic.seed(unicodedata.normalize(form, words))
        log = owner.rotate(queries.log_of(identity), seed=seed, now=clock.now(), loopback=True)
        assert log.head.key_index == 0
    page.goto("/settings/identity")
    expect(page.get_by_text("keys with this server")).to_be_hidden()
    expect(page.get_by_text("It keeps your signing key")).to_be_visible()
    page.goto(KEYS)
    expect(page.get_by_text("this server keeps none with which it could help")).to_be_visible()


def test_new_words_with_the_servers_help(visit: Visit, people: World) -> None:
    """A11b, by a person: the old words are lost, and would still rank first if they were found."""
    alice = owner_of(people.alice)
    cache.clear()
    assert alice.take(with_recovery=True).status == 200
    cache.clear()
    page = visit(people.alice, "phone")
    page.goto("/settings/identity")
    page.get_by_role("link", name="new words").click()
    expect(page.get_by_role("heading", name="You have lost your words?")).to_be_visible()
    words = make_words(page)
    take(page, words)
    log = queries.log_of(queries.by_scid(people.alice.scid))
    assert (log.head.key_index, log.head.parameters.next_key_hashes[0]) == (1, alice.keys["paper_key_hash"])
    assert owner.standing(log, mnemonic.seed(words)) == owner.Standing(paper=0, user=0)
    page.goto("/settings/identity")
    expect(page.get_by_text("It keeps your signing key")).to_be_visible()


DECODE = """async ([width, path]) => {
  const { default: decode } = await import("/decoder/qr-decode.js");
  const scale = 4;
  const side = width * scale;
  const data = new Uint8Array(side * side * 4).fill(255);
  for (const [, x, y] of path.matchAll(/M(\\d+) (\\d+)h1v1h-1z/g)) {
    for (let at = 0; at < scale * scale; at += 1) {
      const place = ((Number(y) * scale + Math.floor(at / scale)) * side + Number(x) * scale + (at % scale)) * 4;
      data.set([0, 0, 0, 255], place);
    }
  }
  return decode({ width: side, height: side, data });
}"""


@pytest.mark.parametrize("language", ["english", "korean", "russian"])
def test_the_code_on_the_sheet_can_be_read(visit: Visit, people: World, language: str) -> None:
    page = visit(people.alice, "desktop")
    page.route(
        "**/decoder/qr-decode.js", lambda route: route.fulfill(path=VENDOR / "qr-decode.js", content_type="text/javascript")
    )
    encoder = offline_page.STATIC / "vendor" / "qr" / "index.js"
    page.route("**/decoder/index.js", lambda route: route.fulfill(path=encoder, content_type="text/javascript"))
    page.goto(KEYS)
    words = make_words(page, language=language)
    svg = page.locator(".kit-sheet [data-qr] svg")
    width = int((svg.get_attribute("viewBox") or "").split()[2])
    assert page.evaluate(DECODE, [width, svg.locator("path").get_attribute("d")]) == words
    # On paper there is the sheet, and nothing else.
    page.emulate_media(media="print")
    expect(page.locator(".kit-sheet [data-words] li").first).to_be_visible()
    expect(page.get_by_label("A password for the file")).to_be_hidden()


def test_a_server_that_answers_with_other_keys_is_not_believed(visit: Visit, people: World) -> None:
    page = visit(people.alice, "desktop")
    page.goto(KEYS)
    words = make_words(page)
    thief = mnemonic.seed(mnemonic.words(bytes(32)))
    evil = keylog.key_hash(owner.paper_multikey(thief, 0))
    mine = keylog.key_hash(owner.paper_multikey(mnemonic.seed(words), 0))

    def swap(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace(mine, evil))

    page.route("**/me/identity/custody", swap)
    page.get_by_role("button", name="I have them").click()
    answer_three(page, words)
    page.get_by_label("Your password here").fill(PASSWORD)
    page.get_by_role("button", name="Take my keys").click()
    expect(page.get_by_role("alert")).to_contain_text("the next keys are others")
    assert queries.by_scid(people.alice.scid).custody == "server"
    page.unroute("**/me/identity/custody")

    def cut(route: Any) -> None:
        answer = route.fetch()
        lines = answer.json()["lines"]
        route.fulfill(response=answer, json={"custody": "owner", "lines": lines[:-1]})

    page.route("**/me/identity/custody/finish", cut)
    page.get_by_role("button", name="Take my keys").click()
    expect(page.get_by_role("alert")).to_contain_text("the log does not name our keys")
    expect(page.get_by_role("heading", name="Your keys are yours")).to_be_hidden()


def test_an_owner_signs_an_agreement_with_one_click(visit: Visit, people: World) -> None:
    earned(staff("root"), people.alice)
    page = visit(people.alice, "phone")
    traffic = Traffic(page)
    page.goto(KEYS)
    words = make_words(page)
    take(page, words)
    page.goto("/wallet")
    page.get_by_role("link", name="Read the terms and sign").click()
    expect(page.get_by_text("this browser signs")).to_be_visible()
    page.get_by_role("button", name="Sign and claim").click()
    page.wait_for_url("**/wallet")
    assert Acceptance.objects.get().scid == people.alice.scid
    traffic.check(secrets_of(words))


def test_a_browser_without_the_key_says_where_it_is_and_takes_it_in(visit: Visit, people: World) -> None:
    cache.clear()
    alice = owner_of(people.alice)
    assert alice.take().status == 200
    page = visit(people.alice, "phone")
    page.goto("/settings/identity")
    expect(page.get_by_text("It does not have your signing key")).to_be_visible()
    stranger = base58.b58encode(b"\x80\x26" + bytes(32)).decode()
    for bad in ("words", f"z{stranger}", "z" + base58.b58encode(b"\xed\x01" + bytes(32)).decode()):
        page.get_by_label("Signing key").fill(bad)
        page.get_by_role("button", name="Keep it in this browser").click()
        expect(page.get_by_role("alert")).to_contain_text("not the signing key")
    mine = base58.b58encode(b"\x80\x26" + bytes(mnemonic.user_key(alice.seed, 0))).decode()
    page.get_by_label("Signing key").fill(f"z{mine}")
    page.get_by_role("button", name="Keep it in this browser").click()
    expect(page.get_by_text("It keeps your signing key")).to_be_visible()
    # It can be used, and not read.
    kept = page.evaluate("""() => new Promise((resolve) => { const asked = indexedDB.open("tributary", 1); asked.onsuccess = () => {
      const got = asked.result.transaction("keys").objectStore("keys").getAll(); got.onsuccess = async () => resolve(
        [got.result[0].key.extractable, await crypto.subtle.exportKey("pkcs8", got.result[0].key).then(() => "read", (error) => error.name)]); }; })""")
    assert kept == [False, "InvalidAccessError"]
    page.get_by_role("button", name="Remove it from this browser").click()
    expect(page.get_by_text("It does not have your signing key")).to_be_visible()


def test_without_scripts_the_page_says_who_holds_the_keys(visit: Visit, people: World) -> None:
    page = visit(people.alice, "phone", java_script_enabled=False)
    page.goto(KEYS)
    expect(page.get_by_text("Until then this server keeps the keys of your identity")).to_be_visible()
    expect(page.get_by_role("button", name="Make my words")).to_be_hidden()
    assert queries.by_scid(people.alice.scid).custody == "server"
