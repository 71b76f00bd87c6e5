"""The golden archive is made of the same bytes as ever, verifies, and is read by other programs."""

import io
import json
import tarfile

from server.portability import verify
from tests.pure.identities import LATER
from tests.vectors.golden import make_archive

GOLDEN = (make_archive.FOLDER / "archive.tar").read_bytes()


def test_the_same_bytes_as_ever() -> None:
    assert make_archive.make() == GOLDEN


def test_it_verifies() -> None:
    verdict = verify.verify(io.BytesIO(GOLDEN), now=LATER, bytes_max=len(GOLDEN))
    assert (verdict.files, verdict.posts, verdict.videos, verdict.missing) == (8, 1, 1, [])
    assert (verdict.heads, verdict.receipts) == (1, 1)


def test_others_read_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(GOLDEN)) as tar:
        assert tar.getnames() == ["manifest.yml", "manifest.json", *sorted(make_archive.contents())]
        file = tar.extractfile("manifest.json")
        assert file is not None
        assert json.load(file)["root"] == "d436d445019ab67a507248365ba013fae8e4157add9f3e707489b6636c487709"
