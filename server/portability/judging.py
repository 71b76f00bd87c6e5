"""What an unpacked archive brings, as rows. Reads and decides; writes only what is carried along without effect."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from payouts.ledger.__main__ import check_agreement, verify_identity_log
from payouts.ledger.report import as_json
from payouts.ledger.verdict import verify as verify_statement
from server.accounts.addresses import parse_address
from server.accounts.models import Account
from server.core import canonical, clock, limits
from server.core.errors import Invalid
from server.portability import csvs, foreign, paths, posts, unpacking, verify, witnessed
from server.portability.errors import BadPart, ForeignIdentity, ForgedPost
from server.portability.foreign import ForeignVideo
from server.portability.models import Carried, Import, ImportItem
from server.portability.parts import EARLIER, FOLLOWING
from server.videos.checks import clean_language

# The items that a table brings; the others are carried along.
_KINDS = {"following": "follow", "blocks": "block", "mutes": "mute"}
_VIDEO_MEMBERS = {
    "id", "uuid", "url", "caption", "alt_text", "language", "sensitive", "visibility", "comments_open",
    "published", "edited", "video", "poster",
}  # fmt: skip
_TEXTS = ("id", "caption", "alt_text", "language", "visibility", "published", "video")
Found = tuple[list[ImportItem], list[str]]


def judge(one: Import) -> Found:
    """The items of an import, and what its owner should know. Raises an ArchiveRefused, LedgerError or KeyLogError by name."""
    readers = {
        unpacking.TRIBUTARY: _ours,
        unpacking.MASTODON: _mastodon,
        unpacking.PEERTUBE: _peertube,
        unpacking.CSV: _tables,
    }
    return readers[one.kind](one)


# --- our own ---


def _ours(one: Import) -> Found:
    by = unpacking.owner_of(one)
    items: list[ImportItem] = []
    own: dict[str, str] = {}
    for line in unpacking.read_lines(one, verify.OUTBOX):
        post = posts.read(line, by=by, now=clock.now())
        if post.kind == "Create":
            own[post.about] = post.actor
    for line in unpacking.read_lines(one, EARLIER):
        earlier(line, by=by)
    for line in unpacking.read_lines(one, verify.VIDEOS):
        items.append(_video(one, posts.parse(line), own))
        del own[items[-1].name]
    items += [_kept(one, "post", uri, "Kept as it was published; it is not posted again.") for uri in sorted(own)]
    items += _rows(one, "following", unpacking.read(one, FOLLOWING)) if unpacking.has(one, FOLLOWING) else []
    for kind in ("blocks", "mutes", "domain_blocks", "lists", "bookmarks"):
        data = unpacking.private(one, f"graph/{kind}.csv")
        items += _rows(one, kind, data) if data is not None else []
    witnessed.check_heads(unpacking.read_lines(one, verify.HEADS), log=by.log, now=clock.now())
    witnessed.check_receipts(unpacking.read_lines(one, verify.RECEIPTS), scid=by.log.scid)
    return items, _notes(one)


def earlier(line: bytes, *, by: posts.Owner) -> dict[str, Any]:
    """A line of ``objects/earlier.jsonl``: by this identity at one of her homes. Raises BadPart, ForgedPost."""
    activity = posts.parse(line)
    if activity.get("actor") not in by.actors or not isinstance(activity.get("id"), str):
        raise ForgedPost("A post of an earlier home is not by the owner of this archive.")
    content = activity.get("object")
    if not isinstance(content, str) and not (isinstance(content, dict) and isinstance(content.get("id"), str)):
        raise BadPart("A post of an earlier home has no object.")
    return activity


def _notes(one: Import) -> list[str]:
    if not unpacking.has(one, verify.STATEMENT):
        return []
    verdict = verify_statement(
        unpacking.read(one, verify.STATEMENT), verify_log=verify_identity_log, check_agreement=check_agreement
    )
    if verdict.scid != one.account.scid:
        raise ForeignIdentity("The statement in the archive is about somebody else.")
    debtors = as_json(verdict, own_policy=False)["debtors"]
    return [f"The statement of {debtor['origin']} in the archive is verified, as of {debtor['as_of']}." for debtor in debtors]


def _video(one: Import, row: dict[str, Any], own: dict[str, str]) -> ImportItem:
    if row.keys() != _VIDEO_MEMBERS or not all(isinstance(row[name], str) for name in _TEXTS):
        raise BadPart(f"A line of {verify.VIDEOS} is not a video.")
    if row["id"] not in own:
        raise ForgedPost(f"{row['id']} is not among the posts of this archive.")
    if not paths.MEDIA.fullmatch(paths.media(row["video"])) and row["video"]:
        raise BadPart(f"{row['id']} names a file by something else than its hash.")
    return _item(
        one,
        name=row["id"],
        path=paths.media(row["video"]),
        filename="original.mp4",
        actor=own[row["id"]],
        published=_time(row["published"]),
        publish=True,
        draft={
            "caption": row["caption"],
            "alt_text": row["alt_text"],
            "language": row["language"],
            "sensitive": row["sensitive"] is True,
            "visibility": row["visibility"],
            "comments_open": row["comments_open"] is True,
        },
    )


def _time(text: str) -> str:
    try:
        canonical.parse_time(text)
    except ValueError as error:
        raise BadPart("A time is not one.") from error
    return text


def _item(one: Import, *, name: str, why: str = "", **data: Any) -> ImportItem:
    return ImportItem(of=one, kind="video", name=name[: limits.URL_CHARACTERS_MAX], why=why, data=data)


def _kept(one: Import, kind: str, name: str, why: str) -> ImportItem:
    return ImportItem(of=one, kind=kind, name=name[: limits.URL_CHARACTERS_MAX], state="kept", why=why)


# --- lists ---


def _tables(one: Import) -> Found:
    items: list[ImportItem] = []
    for name in one.files.order_by("path").values_list("path", flat=True):
        kind = csvs.kind_of(name)
        if kind is not None:
            items += _rows(one, kind, unpacking.read(one, name))
    return items, []


def _rows(one: Import, kind: str, data: bytes) -> Iterator[ImportItem]:
    rows = csvs.read(kind, data)
    if kind not in _KINDS:
        Carried.objects.update_or_create(
            account=one.account, name=kind, defaults={"data": csvs.write(kind, rows), "updated_at": clock.now()}
        )
        yield _kept(one, kind, f"{len(rows)} rows", "This server has no use for it yet; your next archive has it.")
        return
    yield from _people(one, _KINDS[kind], (row[0] for row in rows))


def _people(one: Import, kind: str, addresses: Iterable[str]) -> Iterator[ImportItem]:
    for text in addresses:
        try:
            yield ImportItem(of=one, kind=kind, name=str(parse_address(text)))
        except Invalid as error:
            yield ImportItem(of=one, kind=kind, name=text[: limits.URL_CHARACTERS_MAX], state="failed", why=str(error))


# --- Mastodon and PeerTube ---


def _mastodon(one: Import) -> Found:
    actor = foreign.mastodon_actor(foreign.document(unpacking.read(one, "actor.json")))
    outbox = foreign.document(unpacking.read(one, "outbox.json"))
    return _foreign(one, foreign.mastodon_videos(outbox, actor=actor), actor), _dates(one, actor)


def _peertube(one: Import) -> Found:
    exported = foreign.document(unpacking.read(one, "peertube/videos.json"))
    actor = ""
    if unpacking.has(one, "peertube/account.json"):
        actor = str(foreign.document(unpacking.read(one, "peertube/account.json")).get("url") or "")
    items = _foreign(one, foreign.peertube_videos(exported), actor)
    if unpacking.has(one, "peertube/following.json"):
        listed = foreign.peertube_following(foreign.document(unpacking.read(one, "peertube/following.json")))
        items += _people(one, "follow", listed)
    if unpacking.has(one, "peertube/blocklist.json"):
        people, hosts = foreign.peertube_blocks(foreign.document(unpacking.read(one, "peertube/blocklist.json")))
        items += _people(one, "block", people)
        items += _rows(one, "domain_blocks", csvs.write("domain_blocks", ((host,) for host in hosts))) if hosts else []
    return items, _dates(one, actor)


def proven(account: Account, actor: str) -> bool:
    """Does the old account itself say that it moved to this one? Else its archive is only what somebody uploaded."""
    return bool(actor) and Account.objects.filter(uri=actor, moved_to=account).exists()


def _dates(one: Import, actor: str) -> list[str]:
    if proven(one.account, actor):
        return []
    return ["Nobody has signed this archive and its account did not move to yours, so the videos have the date of today."]


def _foreign(one: Import, videos: Iterable[ForeignVideo], actor: str) -> list[ImportItem]:
    dated = proven(one.account, actor)
    items = []
    for video in videos:
        caption = video.caption[: limits.CAPTION_CHARACTERS_MAX]
        alt_text = video.alt_text[: limits.ALT_TEXT_CHARACTERS_MAX]
        was_cut = (caption, alt_text) != (video.caption, video.alt_text)
        items.append(
            _item(
                one,
                name=video.uri,
                why="Its words were too long and were cut." if was_cut else "",
                path=video.path,
                filename=video.path.rpartition("/")[2] or "none",
                actor=actor,
                published=_iso(video.published) if dated else "",
                publish=bool(video.visibility),
                draft={
                    "caption": caption,
                    "alt_text": alt_text,
                    "language": _language(video.language),
                    "sensitive": video.sensitive,
                    "visibility": video.visibility or "unlisted",
                    "comments_open": video.comments_open,
                },
            )
        )
    return items


def _language(text: str) -> str:
    try:
        return clean_language(text)
    except Invalid:
        return ""


def _iso(moment: datetime | None) -> str:
    return clock.iso(moment) if moment is not None else ""
