"""The examples of docs/reference/federation.md, made by the code that sends them.

``python -m tests.federation.examples`` writes them into the page; a test holds page and code equal.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from nacl.signing import SigningKey

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/federation.md"
ORIGIN = "https://tributary.example"
BLOCK = re.compile(r"^(### [^\n]*\n(?:(?!#|```)[^\n]*\n)*)```json\n([\s\S]*?)\n```$", re.MULTILINE)
MOMENT = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def examples() -> dict[str, dict[str, Any]]:
    """Heading to document, the same at every run; needs an empty database and ``settings.ORIGIN`` as above."""
    from federation import announcing, published, translate
    from federation.sealing import seal
    from server.accounts.models import Account, AccountKey
    from server.core import canonical, keys
    from server.videos.models import Comment, Hashtag
    from tests.world import published as published_row
    from tests.world import remote

    home = SigningKey(hashlib.sha256(b"tributary example home-1").digest())
    pair = keys.KeyPair("rsa", "-----BEGIN PUBLIC KEY-----\nMIIB...\n-----END PUBLIC KEY-----\n", b"")
    alice = Account.objects.create(
        id=1,
        handle="alice",
        uri=f"{ORIGIN}/users/alice",
        url=f"{ORIGIN}/@alice",
        display_name="Alice",
        bio="I film rabbits.",
        created_at=MOMENT,
        updated_at=MOMENT,
    )
    AccountKey.objects.create(account=alice, name="main-key", algorithm="rsa", public=pair.public, private_sealed=b"")
    AccountKey.objects.create(
        account=alice,
        name="home-1",
        algorithm="ed25519",
        public=canonical.multikey_ed25519(bytes(home.verify_key)),
        private_sealed=keys.seal(bytes(home)),
    )
    dora = remote("dora", "peer.example")
    video = published_row(
        alice, id=117662317170258104, uri=f"{ORIGIN}/users/alice/posts/117662317170258104", url=f"{ORIGIN}/w/117662317170258104",
        caption="A rabbit in the #meadow, for @dora@peer.example", published_at=MOMENT, blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj", like_count=2, comment_count=1,
    )  # fmt: skip
    video.hashtags.add(Hashtag.objects.create(name="meadow"))
    theirs = published_row(dora, id=2, uri="https://peer.example/users/dora/posts/7")
    comment = Comment.objects.create(
        id=117662317170259000,
        video=theirs,
        account=alice,
        uri=f"{ORIGIN}/users/alice/comments/117662317170259000",
        is_local=True,
        text="Lovely!",
        created_at=MOMENT,
    )
    with (
        mock.patch("federation.translate.instance_key", return_value=pair),
        mock.patch("federation.announcing.make_id", return_value=117662317170260000),
        mock.patch("server.core.clock.now", return_value=MOMENT),
    ):
        like = announcing.like(f"{alice.uri}/likes/117662317170261000", alice, theirs)
        announce = announcing.announce(f"{alice.uri}/shares/117662317170262000", alice, theirs)
        follow = announcing.follow(f"{alice.uri}/follows/117662317170263000", alice, dora)
        accept = announcing.answer("https://peer.example/follows/9", dora, alice, accepted=True)
        made = {
            "Person": published.person(alice),
            "Instance actor": translate.instance_actor(),
            "Create a video": published.create_video(video),
            "Create a comment": published.create_comment(comment),
            "Delete": published.delete(video.uri, alice),
            "Like": seal(like, by=alice),
            "Announce": seal(announce, by=alice),
            "Undo": seal(announcing.undo(like), by=alice),
            "Follow": seal(follow, by=alice),
            "Accept": seal(accept, by=alice),
        }
    # Each context stands once on the page, where it is needed first.
    contexts = {"Person": made["Person"]["@context"], "Create a video": made["Create a video"]["object"]["@context"]}
    shown = {name: _without_contexts(document) for name, document in made.items()}
    shown["Person"] = {"@context": contexts["Person"], **shown["Person"]}
    shown["Create a video"]["object"] = {"@context": contexts["Create a video"], **shown["Create a video"]["object"]}
    return shown


def _without_contexts(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_contexts(each) for each in value]
    if isinstance(value, dict):
        return {name: _without_contexts(each) for name, each in value.items() if name != "@context"}
    return value


def on_page() -> dict[str, Any]:
    """Heading to the JSON block under it."""
    return {match[1].split("\n", 1)[0].removeprefix("### "): json.loads(match[2]) for match in BLOCK.finditer(PAGE.read_text())}


def write(made: dict[str, dict[str, Any]]) -> None:
    """Put the examples where their headings are."""

    def fill(match: re.Match[str]) -> str:
        name = match[1].split("\n", 1)[0].removeprefix("### ")
        return f"{match[1]}```json\n{json.dumps(made[name], indent=2, ensure_ascii=False)}\n```" if name in made else match[0]

    PAGE.write_text(BLOCK.sub(fill, PAGE.read_text()))


def main(run: Callable[[dict[str, dict[str, Any]]], None]) -> None:
    """Make the examples in a database in memory."""
    import tests.environment  # noqa: F401 (a throw-away data directory, before Django reads its settings)

    os.environ.update(
        TRIBUTARY_ORIGIN=ORIGIN,
        TRIBUTARY_DATABASE_URL="sqlite://:memory:",
        DJANGO_SETTINGS_MODULE="tests.federation.one_process_settings",
    )
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    run(examples())


if __name__ == "__main__":
    main(write)
