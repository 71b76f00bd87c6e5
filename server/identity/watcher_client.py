"""Speaks to other watchers: fetches what they show, posts what they are to have, and checks what they sign by their own key."""

from typing import Any

from server.core import budget, canonical, clock, hosts, http, limits
from server.core.errors import Conflict, NotFound, Unavailable
from server.identity import receipts
from server.identity.models import Watcher
from server.identity.queries import WATCHER_PATH

OK = 200
REFUSED = 500
WAIT_SECONDS_MAX = 10
ANSWER_BYTES_MAX = 64 * limits.KIB
ACTOR_BYTES_MAX = 256 * limits.KIB
KEY_SECONDS_MIN = 300


class Refused(Conflict):
    """The replica did not take it; ``reason`` is the code that it gave."""

    code = "replica_refused"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class NoInstanceKey(Unavailable):
    """The replica shows no key by which its receipts could be checked."""

    code = "no_instance_key"


def fetch(url: str, *, size_bytes_max: int, accept: str = "application/json, text/jsonl") -> bytes:
    """GET from a watcher. Raises NotFound, Unavailable, http.HttpError, hosts.BadAddress."""
    require_name(url)
    answer = http.get(url, headers={"Accept": accept}, size_bytes_max=size_bytes_max, wait_seconds_max=WAIT_SECONDS_MAX)
    if answer.status in {404, 410}:
        raise NotFound(f"There is nothing at {url}.")
    if answer.status != OK:
        raise Unavailable(f"{url} answers {answer.status}.")
    return answer.body


def require_name(url: str) -> None:
    """A log names hosts, never addresses (key-log.md, section 6). Raises hosts.BadAddress."""
    host = hosts.parse_url(url).host
    if host.startswith("[") or host.rpartition(".")[2].isdigit():
        raise hosts.BadAddress("a replica has a name, and no address literal")


def post(origin: str, path: str, body: bytes, content_type: str) -> http.Answer:
    """POST to a watcher's door. Raises Refused with its reason, Unavailable for now, http.HttpError."""
    url = f"{origin}{WATCHER_PATH}/{path}"
    require_name(url)
    answer = http.post(
        url,
        headers={"Content-Type": content_type, "Accept": "application/json"},
        body=body,
        size_bytes_max=ANSWER_BYTES_MAX,
        wait_seconds_max=WAIT_SECONDS_MAX,
    )
    if answer.status >= REFUSED or answer.status == 429:  # noqa: PLR2004 (Too Many Requests)
        raise Unavailable(f"{origin} answers {answer.status}.")
    if answer.status >= 300:  # noqa: PLR2004 (no success)
        reason = _reason(answer)
        raise Refused(f"{answer.status} {reason}", reason=reason)
    return answer


def _reason(answer: http.Answer) -> str:
    """The code in a problem document; what a stranger's software says instead is not repeated."""
    try:
        code = document_of(answer).get("code")
    except Unavailable:
        return ""
    return code[:80] if isinstance(code, str) and code.isascii() and code.isprintable() else ""


def document_of(answer: http.Answer) -> dict[str, Any]:
    """The JSON object in an answer. Raises Unavailable."""
    try:
        value = canonical.parse(answer.body, depth_max=8, fractions=False)
    except ValueError as error:
        raise Unavailable(f"{answer.url} answers something else: {error}") from error
    if not isinstance(value, dict):
        raise Unavailable(f"{answer.url} answers something else.")
    return value


def verified_receipt(watcher: Watcher, document: dict[str, Any]) -> receipts.Receipt:
    """The receipt, checked by the replica's key; a key that no longer fits is asked for again, now and then."""
    for fetched in (False, True):
        if fetched or not watcher.instance_key:
            _learn_key(watcher)
        try:
            return receipts.verify_receipt(
                document,
                replica=watcher.origin,
                verification_method=f"{watcher.origin}/actor#instance-1",
                public=canonical.multikey_ed25519_decode(watcher.instance_key),
                now=clock.now(),
            )
        except receipts.WrongReplica:
            if fetched or not budget.once(f"instance-key:{watcher.origin}", KEY_SECONDS_MIN):
                raise
    raise NoInstanceKey


def _learn_key(watcher: Watcher) -> None:
    """Read ``#instance-1`` in the instance actor of a replica (FEP-521a)."""
    actor = f"{watcher.origin}/actor"
    body = fetch(actor, accept="application/activity+json", size_bytes_max=ACTOR_BYTES_MAX)
    try:
        document = canonical.parse(body, depth_max=limits.JSON_DEPTH_MAX)
        methods = document["assertionMethod"]
        key = next(
            one["publicKeyMultibase"] for one in methods if one["id"] == f"{actor}#instance-1" and one["controller"] == actor
        )
        canonical.multikey_ed25519_decode(key)
    except (ValueError, KeyError, TypeError, StopIteration, AttributeError) as error:
        raise NoInstanceKey from error
    watcher.instance_key = key
    Watcher.objects.filter(pk=watcher.pk).update(instance_key=key)
