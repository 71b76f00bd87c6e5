"""A small believable community: distinct clips cut from the one real clip, people, captions, comments, a neighbour server.

Used by the browser tests that look at full pages and by ``script/screenshots``.
"""

import datetime as dt
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from server.accounts import actions as account_actions
from server.accounts.models import Account, User
from server.accounts.remote import RemoteProfile
from server.core import clock, storage, worker
from server.feed.actions import mark_seen
from server.videos import actions
from server.videos.drafts import VideoDraft
from server.videos.models import Video
from server.videos.remote import RemoteComment, RemoteVideo

SOURCE = Path(__file__).parent.parent / "media" / "bigbuckbunny.mp4"
PASSWORD = "correct horse battery"
DUSK = "eq=brightness=-0.06:saturation=0.9,colorbalance=rs=-.1:bs=.25:rm=-.05:bm=.15"
GOLD = "colorbalance=rs=.18:gs=.05:bs=-.15:rm=.12:bm=-.12,eq=saturation=1.15"
AUTUMN = "hue=h=-42:s=1.1"


@dataclass(frozen=True)
class Clip:
    """``cut`` is an ffmpeg filter chain that makes a scene of its own from the source."""

    name: str
    by: str
    cut: str
    caption: str
    alt: str
    start: float = 0
    seconds: float = 10
    size: str = "540:960"
    hours_ago: float = 1
    likes: int = 0
    sensitive: bool = False


CLIPS = [
    Clip(
        "stretch",
        "alice",
        "crop=405:720:190:0",
        "First stretch of the day. Nobody rushes him. #morning #meadow",
        "A large grey rabbit climbs out of his burrow and stretches.",
        hours_ago=2,
        likes=4,
    ),
    Clip(
        "boulders",
        "bob",
        f"crop=400:711:'760+10*t':9,{GOLD}",
        "The boulders above the ford keep the heat until midnight. #goldenhour #upstream",
        "Flat boulders in tall grass, in low golden light.",
        hours_ago=5,
        likes=3,
    ),
    Clip(
        "edge",
        "erin",
        f"crop=330:587:'560-12*t':40,{DUSK}",
        "Forest edge, a minute before the rain came. Sound on for this one! #forest #rain #upstream",
        "A dark wall of trees behind a bank of yellow flowers.",
        start=1,
        hours_ago=7,
        likes=2,
    ),
    Clip(
        "grass",
        "alice",
        f"crop=270:480:'700+30*t':230,{AUTUMN}",
        "Wind in the grass. That is all, that is the post. #slow",
        "Long grass the colour of copper, moving in the wind.",
        hours_ago=11,
        likes=3,
    ),
    Clip(
        "wide",
        "alice",
        "null",
        "The whole valley, for those who asked where this is. #meadow",
        "A rabbit in front of his burrow, a meadow, boulders and a forest behind.",
        size="960:540",
        hours_ago=20,
        likes=2,
    ),
    Clip(
        "portrait",
        "mina",
        "crop=720:720:120:0,hue=s=0,eq=contrast=1.2",
        "Tri-X, pushed one stop. #blackandwhite #meadow",
        "Black and white portrait of a large rabbit, yawning.",
        start=2,
        size="720:720",
        hours_ago=26,
        likes=4,
    ),
    Clip(
        "close",
        "alice",
        f"crop=300:533:330:20,hflip,{GOLD}",
        "He knows exactly what he is doing. #bunny",
        "Close view of a rabbit who scratches behind his ear.",
        start=2.5,
        hours_ago=30,
        likes=1,
    ),
    Clip(
        "night",
        "otto",
        "crop=405:720:150:0,eq=brightness=-0.18:saturation=0.6,colorbalance=bs=.3:bm=.25",
        "Night shift at the burrow. #night",
        "The same burrow in blue moonlight.",
        start=1.5,
        hours_ago=38,
        likes=2,
    ),
    Clip(
        "flowers",
        "alice",
        "crop=240:427:'560+8*t':110,eq=saturation=1.4",
        "Somebody planted these. Thank you, somebody. #flowers #upstream",
        "Small yellow flowers between roots and grass.",
        hours_ago=44,
        likes=3,
    ),
    Clip(
        "sky",
        "bob",
        "crop=300:533:960:0,colorbalance=rh=.2:bh=.15,eq=saturation=1.2",
        "Evening from the back step.",
        "Pink sky over blue hills and a line of trees.",
        hours_ago=60,
        sensitive=False,
        likes=2,
    ),
]
PEOPLE: Mapping[str, tuple[str, str, str]] = {
    "alice": (
        "Alice Weir",
        "Keeps bees and a slow camera, forty steps from the river.\nMore at https://weir.example #meadow",
        "crop=300:300:330:30",
    ),
    "bob": ("Bob Ford", "Stonemason. I film walls, mostly.", "crop=280:280:800:250"),
    "erin": ("Erin Marsh", "Forest, rain, mud, joy.", "crop=320:320:560:60,hue=h=30"),
    "otto": ("Otto", "", "crop=200:200:60:380"),
    "mina": ("Mina Rees", "Film photographer learning to let things move.", "crop=260:260:390:40,hue=s=0"),
}
COMMENTS = [
    ("stretch", "bob", "Same time, every day. I set my watch by him."),
    ("stretch", "erin", "The ears! #meadow"),
    ("stretch", "mina", "Which lens is this?"),
    ("boulders", "alice", "Sat there last night with a thermos. Warm until eleven."),
    ("portrait", "otto", "Print this one. Large."),
    ("edge", "alice", "We ran."),
]


def ffmpeg(*arguments: str) -> None:
    """Run ffmpeg quietly."""
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y", *arguments], check=True)


def cut(clip: Clip, folder: Path) -> Path:
    """The clip as an .mp4 file in ``folder``."""
    target = folder / f"{clip.name}.mp4"
    chain = f"{clip.cut},scale={clip.size}:flags=lanczos,setsar=1"
    ffmpeg(
        "-ss",
        str(clip.start),
        "-t",
        str(clip.seconds),
        "-i",
        str(SOURCE),
        "-vf",
        chain,
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "20",
        "-c:a",
        "aac",
        "-ac",
        "2",
        str(target),
    )
    return target


def picture(cut_out: str, folder: Path, name: str) -> bytes:
    """A square picture for a profile."""
    target = folder / f"{name}.jpg"
    ffmpeg("-ss", "3", "-i", str(SOURCE), "-vf", f"{cut_out},scale=400:400", "-frames:v", "1", str(target))
    return target.read_bytes()


def person(handle: str, folder: Path) -> Account:
    """Somebody of ``PEOPLE`` who can log in with ``PASSWORD``."""
    name, bio, cut_out = PEOPLE[handle]
    account = account_actions.open_account(user=User.objects.create_user(f"{handle}@example.org", PASSWORD), handle=handle)
    account_actions.update_profile(
        account=account, by=account, display_name=name, bio=bio, avatar=picture(cut_out, folder, handle)
    )
    return account


def publish(clip: Clip, by: Account, folder: Path) -> Video:
    """Upload the clip as people do and let the worker prepare it."""
    path = cut(clip, folder)
    draft = VideoDraft(caption=clip.caption, alt_text=clip.alt, sensitive=clip.sensitive)
    with path.open("rb") as stream:
        video = actions.upload_file(account=by, filename=path.name, stream=stream, size=path.stat().st_size, draft=draft)
    worker.work("transcode", seconds_max=120)
    video.refresh_from_db()
    assert video.state == "published", f"{clip.name}: {video.state} {video.failure}"
    Video.objects.filter(pk=video.pk).update(
        published_at=clock.now() - dt.timedelta(hours=clip.hours_ago), view_count=37 * clip.likes + int(clip.hours_ago)
    )
    return video


def neighbour(origin: str, twins: list[Video]) -> Account:
    """Dora on another server, whose videos play from files of ours (there is no other server to play from)."""
    profile = RemoteProfile(
        uri="https://peer.example/users/dora",
        handle="dora",
        domain="peer.example",
        url="https://peer.example/@dora",
        display_name="Dora Delta",
        bio_html="<p>Where the river meets the sea. <a href='https://peer.example/tags/tide'>#tide</a></p>",
        avatar_url="",
        also_known_as=(),
        manually_approves_followers=False,
    )
    dora = account_actions.receive_remote_account(profile=profile)
    captions = [
        "<p>Low tide, high spirits. <a href='https://peer.example/tags/tide'>#tide</a></p>",
        "<p>Grass that has never seen a lawn mower.</p>",
    ]
    for number, (twin, caption) in enumerate(zip(twins, captions, strict=True), start=1):
        video = actions.receive_remote(
            account=dora,
            remote=RemoteVideo(
                uri=f"https://peer.example/users/dora/posts/{number}",
                url=f"https://peer.example/@dora/{number}",
                mp4_url=f"{origin}{storage.url(twin.mp4_file)}",
                poster_url=f"{origin}{storage.url(twin.poster_file)}",
                published_at=clock.now() - dt.timedelta(hours=3 + 6 * number),
                caption_html=caption,
                alt_text="A meadow by the sea",
                hashtags=("tide",) if number == 1 else (),
                blurhash=twin.blurhash,
                width=twin.width,
                height=twin.height,
                duration_ms=twin.duration_ms,
                uuid=uuid.uuid4(),
            ),
        )
        assert video.account_id == dora.pk
    return dora


def settle(origin: str, folder: Path) -> dict[str, Account]:
    """The whole community, ready to be looked at. Returns its people by handle."""
    folder.mkdir(parents=True, exist_ok=True)
    people = {handle: person(handle, folder) for handle in PEOPLE}
    videos = {clip.name: publish(clip, people[clip.by], folder) for clip in CLIPS}
    people["dora"] = neighbour(origin, [videos["sky"], videos["grass"]])
    for follower, target in (
        ("alice", "bob"),
        ("alice", "erin"),
        ("bob", "alice"),
        ("erin", "alice"),
        ("mina", "alice"),
        ("otto", "alice"),
        ("mina", "erin"),
    ):
        account_actions.follow(follower=people[follower], target=people[target])
    locals_ = [people[handle] for handle in PEOPLE]
    for clip in CLIPS:
        for fan in [each for each in locals_ if each.handle != clip.by][: clip.likes]:
            actions.like(video=videos[clip.name], by=fan)
    made = {}
    for clip_name, handle, text in COMMENTS:
        made[text] = actions.comment(video=videos[clip_name], by=people[handle], text=text)
    actions.comment(
        video=videos["stretch"],
        by=people["alice"],
        text="A 35 mm from a flea market, and patience.",
        parent=made["Which lens is this?"],
    )
    stretch = videos["stretch"]
    actions.receive_remote_comment(
        account=people["dora"],
        remote=RemoteComment(
            uri="https://peer.example/users/dora/comments/1",
            url="https://peer.example/@dora/c1",
            html="<p>Greetings from the delta. We get your leaves, three days later.</p>",
            published_at=clock.now(),
            in_reply_to=stretch.uri,
        ),
    )
    actions.share(video=videos["edge"], by=people["bob"])
    mark_seen(account=people["alice"], video=videos["wide"], watched_ms=5_000)
    return people


def workbench(alice: Account, folder: Path) -> None:
    """What alice has in her studio beside what is published: one in the making, one that failed, one held back."""
    held = cut(CLIPS[-1], folder)
    with held.open("rb") as stream:
        actions.upload_file(
            account=alice,
            filename="held.mp4",
            stream=stream,
            size=held.stat().st_size,
            draft=VideoDraft(caption="For Sunday.", publish_when_ready=False),
        )
    broken = folder / "broken.mp4"
    broken.write_bytes(SOURCE.read_bytes()[:40_000])
    with broken.open("rb") as stream:
        actions.upload_file(
            account=alice,
            filename="broken.mp4",
            stream=stream,
            size=40_000,
            draft=VideoDraft(caption="Flood of last week, from the bridge"),
        )
    worker.work("transcode", seconds_max=120)
    with held.open("rb") as stream:
        video = actions.upload_file(
            account=alice,
            filename="next.mp4",
            stream=stream,
            size=held.stat().st_size,
            draft=VideoDraft(caption="The heron is back on the island. #heron"),
        )
    Video.objects.filter(pk=video.pk).update(progress_percent=62)
