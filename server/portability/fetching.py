"""Bringing an archive from a server that keeps a copy: the manifest by its number, then every file that is not here yet."""

import json
import time
from collections.abc import Iterator
from typing import Any

from server.core import http, limits, worker
from server.core.errors import NotFound, Unavailable
from server.portability import manifest, paths, unpacking, vault, verify
from server.portability.copies import PATH, PIECE_BYTES
from server.portability.errors import BadPart, ForeignIdentity, WrongHash
from server.portability.models import Import, ImportFile

WAIT_SECONDS_MAX = 60
OK = 200


def fetch(one: Import, *, until: float) -> tuple[bool, int]:
    """Fetch until ``until`` (monotonic seconds): is it done, and how far (of 500). A file that the keeper lacks is left out.

    Raises ForeignIdentity, BadManifest and the like, WrongHash, NotFound (no such copy), Unavailable.
    """
    about = _manifest(one)
    known = set(one.files.values_list("path", flat=True))
    files = sorted(about.files, key=lambda file: file.path not in {verify.LOG, verify.WITNESSES})
    done = 0
    for file in files:
        done += file.size
        if file.path in known:
            continue
        if vault.keep(file.sha256) or _fetch_file(one, file):
            ImportFile.objects.get_or_create(of=one, path=file.path, defaults={"size": file.size, "sha256": file.sha256})
        if file.path == verify.LOG:
            # Whose it is comes before anything large.
            unpacking.judge_unpacked(one, about)
        worker.renew()
        if time.monotonic() > until:
            return False, done * 500 // max(1, about.bytes_total)
    if not unpacking.has(one, verify.LOG):
        raise BadPart("The copy has no key log, so nobody can say whose it is.")
    return True, 500


def _manifest(one: Import) -> manifest.Manifest:
    if unpacking.has(one, paths.MANIFEST):
        return unpacking.manifest_of(one)
    data = b"".join(_pieces(one, one.manifest_sha256, manifest.MANIFEST_BYTES_MAX))
    about = manifest.parse(data)
    if about.digest != one.manifest_sha256:
        raise WrongHash("The manifest is not the one you asked for.")
    if about.scid != one.account.scid:
        raise ForeignIdentity
    sha256, size = vault.put([data])
    ImportFile.objects.create(of=one, path=paths.MANIFEST, size=size, sha256=sha256)
    return about


def _fetch_file(one: Import, file: manifest.File) -> bool:
    with vault.writing(file.size) as target:
        try:
            for piece in _pieces(one, file.sha256, file.size):
                target.write(piece)
                worker.renew()
        except NotFound:
            return False
        if (target.sha256, target.size) != (file.sha256, file.size):
            raise WrongHash(f"{file.path} is not the file that the manifest lists.")
        target.finish()
    return True


def _pieces(one: Import, sha256: str, bytes_max: int) -> Iterator[bytes]:
    at = 0
    while True:
        url = f"{one.source}{PATH}/{one.manifest_sha256}/files/{sha256}?offset={at}"
        answer = http.get(
            url,
            headers={"Accept": "application/octet-stream"},
            size_bytes_max=PIECE_BYTES,
            wait_seconds_max=WAIT_SECONDS_MAX,
        )
        if answer.status in {404, 410}:
            raise NotFound(f"{one.source} does not keep this: {_detail(answer.body)}")
        if answer.status != OK:
            raise Unavailable(f"{url} answers {answer.status}.")
        at += len(answer.body)
        if at > bytes_max:
            raise WrongHash("More bytes came than the manifest says.")
        if answer.body:
            yield answer.body
        if len(answer.body) < PIECE_BYTES:
            return


def _detail(body: bytes) -> Any:
    try:
        return json.loads(body[: limits.KIB]).get("detail", "")
    except (ValueError, AttributeError):
        return ""
