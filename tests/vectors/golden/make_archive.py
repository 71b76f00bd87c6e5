"""The golden archive: ``python -m tests.vectors.golden.make_archive`` writes it anew, the same bytes every time."""

import hashlib
from datetime import timedelta
from pathlib import Path

from server.core import canonical
from server.identity import keylog
from server.identity.receipts import make_receipt
from server.portability import manifest, paths, tar
from server.portability.manifest import File
from tests.pure.identities import NOW, key, under_server

FOLDER = Path(__file__).parent / "archive"
ACTOR = "https://alpha.example/users/alice"
FILM = b"not really a film\n"


def contents() -> dict[str, bytes]:
    """The files of the archive."""
    note = {"id": f"{ACTOR}/posts/1", "type": "Note", "attributedTo": ACTOR, "content": "<p>Rabbit</p>"}
    activity = {"id": f"{ACTOR}/posts/1/activity", "type": "Create", "actor": ACTOR, "object": note}
    video = {
        "id": f"{ACTOR}/posts/1", "uuid": "00000000-0000-4000-8000-000000000001", "url": "https://alpha.example/w/1",
        "caption": "Rabbit", "alt_text": "A rabbit", "language": "en", "sensitive": False, "visibility": "public",
        "comments_open": True, "published": "2026-11-20T08:00:00Z", "edited": None,
        "video": hashlib.sha256(FILM).hexdigest(), "poster": None,
    }  # fmt: skip
    head = keylog.make_head(under_server(), previous=None, document=activity, key=key("home-1"), now=NOW)
    receipt = make_receipt(
        scid=under_server().scid,
        version_id=under_server().version_ids[0],
        replica="https://gamma.example",
        verification_method="https://gamma.example/actor#instance-1",
        key=key("replica"),
        now=NOW,
    )
    return {
        "actor/actor.json": canonical.jcs({"id": ACTOR, "type": "Person", "preferredUsername": "alice"}),
        "graph/following.csv": b"Account address,Show boosts,Notify on new posts,Languages\nbob@beta.example,true,false,\n",
        "identity/did.jsonl": under_server().data,
        "identity/receipts.jsonl": canonical.jcs(receipt) + b"\n",
        paths.media(hashlib.sha256(FILM).hexdigest()): FILM,
        "objects/heads.jsonl": canonical.jcs(head) + b"\n",
        "objects/outbox.jsonl": canonical.jcs(activity) + b"\n",
        "objects/videos.jsonl": canonical.jcs(video) + b"\n",
    }


def make() -> bytes:
    """The tar."""
    files = contents()
    made = manifest.make(
        log=under_server(),
        files=[File(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in sorted(files.items())],
        seq=1,
        prev=manifest.NOTHING_BEFORE,
        authority="home",
        key=key("home-1"),
        now=NOW + timedelta(hours=1),
    )
    described = manifest.describe(made.files, created=made.created, actor=ACTOR)
    members = [(paths.DESCRIPTION, described), (paths.MANIFEST, made.data), *sorted(files.items())]
    parts = [tar.header(path, len(data), moment=made.created) + data + tar.padding(len(data)) for path, data in members]
    return b"".join(parts) + tar.END


if __name__ == "__main__":
    data = make()
    (FOLDER / "archive.tar").write_bytes(data)
