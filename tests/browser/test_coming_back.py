"""Coming back with one's own keys, by a person in a real browser: bring the identity, sign with typed words, tell the followers."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PublicKey, SealedBox
from playwright.sync_api import Page, expect

from server.accounts import telling
from server.core import clock
from server.identity import mnemonic, queries
from server.identity.models import Receipt
from tests.browser.conftest import Visit
from tests.browser.test_identity_tool import act, give, opened, saved_from
from tests.browser.test_keys_pages import Traffic, no_wider, secrets_of
from tests.server.wanderers import wanderer
from tests.world import World, rsa_pair

ROWS = [
    {"actor": f"https://{host}/users/x", "inbox": f"https://{host}/users/x/inbox", "sharedInbox": f"https://{host}/inbox"}
    for host in ("masto.example", "gts.example")
]


def look(page: Page, name: str) -> None:
    """Nothing is wider than the screen; with TRIBUTARY_LOOK the picture is kept there."""
    assert no_wider(page)
    if folder := os.environ.get("TRIBUTARY_LOOK"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def witnessed(scid: str) -> None:
    """Two other instances have seen the newest entry."""
    identity = queries.by_scid(scid)
    for name in ("one", "two"):
        Receipt.objects.create(
            identity=identity, replica=f"https://{name}.example", number=identity.head_number,
            version_id=identity.head_version_id, first_seen=clock.now(), document=b"{}",
        )  # fmt: skip


def file(name: str, data: bytes) -> Any:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


@pytest.mark.slow
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_back_with_her_words_and_her_followers_are_told(visit: Visit, people: World, tmp_path: Path, size: str) -> None:
    gone, words = wanderer(), mnemonic.words(hashlib.sha256(b"alice").digest())
    page = visit(people.alice, size, color_scheme="light")
    traffic = Traffic(page)
    page.goto("/settings/identity/bring")
    page.get_by_role("link", name="Come back with your own keys").click()
    look(page, f"bring-{size}")
    page.get_by_label("Your copy of the log").set_input_files(file("did.jsonl", gone.log.data))
    page.get_by_role("button", name="Find my identity").click()
    expect(page.get_by_role("heading", name="We found you. Now sign")).to_be_visible()
    expect(page.get_by_label("Your recovery words")).to_be_visible()
    look(page, f"sign-{size}")

    page.get_by_label("Your recovery words").fill(words.replace(words.split()[0], "nonsense", 1))
    page.get_by_role("button", name="Sign and arrive").click()
    expect(page.get_by_role("alert").locator("visible=true")).to_contain_text(
        "Nothing was moved: these are not valid recovery words"
    )
    look(page, f"sign-refused-{size}")
    page.get_by_label("Your recovery words").fill(words)
    page.get_by_role("button", name="Sign and arrive").click()
    page.wait_for_url("**/settings/identity/tell")
    traffic.check(secrets_of(words))
    identity = queries.by_scid(gone.scid)
    assert (identity.actor_uri, identity.custody, identity.is_home) == (people.alice.uri, "owner", True)
    look(page, f"tell-first-{size}")

    rows = "\n".join(json.dumps(row) for row in ROWS).encode()
    page.get_by_label("The list of your followers").set_input_files(file("followers.jsonl", rows))
    page.get_by_role("button", name="Add them").click()
    expect(page.get_by_text("2 known.")).to_be_visible()
    witnessed(gone.scid)
    page.reload()
    look(page, f"tell-ready-{size}")
    requests = saved_from(page, "what is to be signed", tmp_path / "requests.json")
    log = saved_from(page, "your log", tmp_path / "did.jsonl")

    tool = visit(None, size, color_scheme="light")
    tool.goto("/identity/tool")
    give(tool, log.read_bytes(), words)
    opened(tool, "Tell servers that keep no key logs")
    archived = json.dumps({"v": 1, "keys": [{"privateKeyPem": rsa_pair("alice of old")[0]}]}).encode()
    sealed = SealedBox(PublicKey(bytes(mnemonic.box_key(gone.seed).public_key))).encrypt(archived)
    tool.get_by_label("What your new home asks to be signed").set_input_files(str(requests))
    tool.get_by_label("keys.sealed").set_input_files(file("keys.sealed", sealed))
    look(tool, f"tool-{size}")
    signed = act(tool, "Sign")

    page.get_by_label("The signed file").set_input_files(file("signed-move.json", signed))
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_text("servers told, 2 to go")).to_be_visible()
    look(page, f"tell-sent-{size}")
    move = telling.last_signed(people.alice)
    assert move is not None
    assert move.body == json.loads(signed)["body"]
    assert all(headers["Signature"] for headers in move.requests.values())
