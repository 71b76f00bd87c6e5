"""The recovery tool on the command line: no Django, no network, words never on the command line, every refusal named."""

import http.server
import io
import json
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from server.core import canonical
from server.identity import keyfile, keylog, mnemonic, owner, tool
from server.identity.offer import BadOffer, offer_document, read_offer
from tests.pure import identities
from tests.pure.identities import NOW

WORDS = mnemonic.words(bytes(range(32)), language="japanese")
SEED = mnemonic.seed(WORDS)
AT = canonical.time_text(NOW + timedelta(days=2))
KEY_FILES = json.loads((Path(__file__).parents[1] / "vectors/golden/identity/key-files.json").read_text())


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder with an owner's log, her words, and the offer of a new home."""
    log = keylog.give_to_owner(
        identities.under_server(),
        user_key=keylog.multikey_of(mnemonic.user_key(SEED, 0)),
        box_key=owner.box_multikey(mnemonic.box_key(SEED)),
        key=identities.key("root-2"),
        next_keys=[keylog.key_hash(owner.paper_multikey(SEED, 0))],
        now=NOW + timedelta(days=1),
    )
    (tmp_path / "did.jsonl").write_bytes(log.data)
    (tmp_path / "words").write_text(WORDS)
    (tmp_path / "offer.json").write_text(json.dumps(offer(log.scid)))
    return tmp_path


def offer(scid: str) -> dict[str, Any]:
    home = identities.home("new.example", "home-9")
    return {
        "v": 1, "type": "HomeOffer", "nonce": "n-0123456789abcdefghij", "scid": scid, "audience": "https://new.example",
        "actor": home.actor, "acct": home.acct, "did": home.did(scid), "homeKey": home.key,
        "userKey": identities.public("user-9"), "rootKeyHash": identities.commit("root-9")[0],
    }  # fmt: skip


def run(folder: Path, *arguments: str, words: str = "words") -> int:
    here = [str(folder / one) if (folder / one).exists() else one for one in arguments]
    wants_words = arguments[0] not in {"verify", "seal"}
    return tool.main([*here, *(["--words", str(folder / words)] if wants_words else []), "--now", AT, "--json"])


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out))


def test_it_knows_no_django() -> None:
    code = "import sys; import server.identity.tool; sys.exit(any(name.split('.')[0] in ('django', 'celery') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_verify_and_keys(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(kept, "verify", "did.jsonl") == tool.DONE
    verdict = said(capsys)
    assert (verdict["custody"], verdict["indexes"]) == ("owner", [None, 0])
    assert run(kept, "keys", "--log", "did.jsonl", "--signing-key") == tool.DONE
    found = said(capsys)
    assert found["standing"] == {"scid": verdict["scid"], "paper": 0, "user": 0}
    assert found["paper"][0] == verdict["next"][0]
    assert (found["user"][0], found["box"]) == (verdict["user"], verdict["box"])
    assert canonical.multibase_decode(found["signing_key"])[2:] == bytes(mnemonic.user_key(SEED, 0))
    (kept / "did.jsonl").write_bytes((kept / "did.jsonl").read_bytes().replace(b"alpha.example", b"gamma.example"))
    assert run(kept, "verify", "did.jsonl") == tool.REFUSED
    assert "refused: " in capsys.readouterr().err


def test_words_come_from_standard_input_or_a_kit(
    kept: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(WORDS))
    assert tool.main(["keys", "--json"]) == tool.DONE
    from_input = said(capsys)
    secret = keyfile.Secret(WORDS, "japanese", "Qm")
    inside = json.dumps({"keyFile": keyfile.lock(secret, "a password", memory_kib=8), "handle": "alice"})
    kit = kept / "kit.html"
    kit.write_text(f'<p>x</p><script type="application/json" id="kit">{inside}</script>')
    monkeypatch.setattr(tool.getpass, "getpass", lambda _: "a password")
    assert tool.main(["keys", "--kit", str(kit), "--json"]) == tool.DONE
    assert said(capsys) == from_input
    monkeypatch.setattr(tool.getpass, "getpass", lambda _: "another")
    assert tool.main(["keys", "--kit", str(kit)]) == tool.REFUSED
    assert "wrong_password" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words", "reason"),
    [
        (["rotate", "did.jsonl", "-o", "out"], mnemonic.words(bytes(32)), "not_these_words"),
        (["rotate", "did.jsonl", "-o", "out"], "no such words", "bad_words"),
        (["move", "did.jsonl", "other.json", "-o", "out"], WORDS, "conflict"),
        (["move", "did.jsonl", "broken.json", "-o", "out"], WORDS, "bad_offer"),
        (["open", "did.jsonl", "-o", "out"], WORDS, "not_allowed"),
    ],
)
def test_refusals(kept: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str, reason: str) -> None:
    (kept / "words").write_text(words)
    other = identities.under_server("zoe").scid
    (kept / "other.json").write_text(json.dumps(offer(other)))
    (kept / "broken.json").write_text(json.dumps({**offer(other), "audience": "https://evil.example"}))
    out = kept / "result"
    assert run(kept, *[str(out) if one == "out" else one for one in arguments]) == tool.REFUSED
    assert f"refused: {reason}" in capsys.readouterr().err
    assert not out.exists()


def test_what_cannot_be_read(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(kept, "verify", "nowhere.jsonl") == tool.UNREADABLE
    assert run(kept, "move", "did.jsonl", "words", "-o", str(kept / "out")) == tool.UNREADABLE
    assert "cannot read" in capsys.readouterr().err


def test_offers_are_read_strictly() -> None:
    good = offer(identities.under_server().scid)
    assert offer_document(read_offer(good)) == good
    bad: list[Any] = [{**good, name: 7} for name in good if name != "v"]
    bad += [{name: value for name, value in good.items() if name != left} for left in good]
    bad += [
        None,
        [],
        {**good, "more": ""},
        {**good, "v": 2},
        {**good, "type": "Offer"},
        {**good, "actor": "https://evil.example/users/alice"},
    ]
    for one in bad:
        with pytest.raises(BadOffer):
            read_offer(one)


class Home(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted."""

    taken: list[tuple[str, str, bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append((self.path, self.headers["Content-Type"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def test_only_what_was_signed_is_posted_and_only_safely(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), Home)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/users/alice/move"
        assert run(kept, "move", "did.jsonl", "offer.json", "-o", str(kept / "move.json"), "--post", url) == tool.DONE
    finally:
        server.shutdown()
        server.server_close()
    assert said(capsys)["status"] == 200
    assert Home.taken == [("/users/alice/move", "application/json", (kept / "move.json").read_bytes())]
    assert run(kept, "rotate", "did.jsonl", "-o", str(kept / "next.jsonl"), "--post", "http://new.example/log") == tool.REFUSED
    assert "https only" in capsys.readouterr().err


@pytest.mark.parametrize("vector", KEY_FILES, ids=lambda one: one["language"])
def test_key_files(vector: dict[str, Any]) -> None:
    secret = keyfile.Secret(vector["words"], vector["language"], vector["scid"])
    salt, nonce = bytes.fromhex(vector["salt"]), bytes.fromhex(vector["nonce"])
    assert keyfile.lock(secret, vector["password"], salt=salt, nonce=nonce, memory_kib=vector["memory_kib"]) == vector["file"]
    opened = keyfile.unlock(vector["file"], vector["password"])
    assert mnemonic.seed(opened.words) == mnemonic.seed(vector["words"])
    with pytest.raises(keyfile.WrongPassword):
        keyfile.unlock(vector["file"], vector["password"] + " ")
