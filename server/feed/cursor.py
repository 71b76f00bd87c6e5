"""Where a reader stands in a feed, as an opaque text that travels in the address of the next page. Pure.

It is not signed: whoever changes hers only changes what she herself is shown next.
"""

import base64
import binascii
import struct
from dataclasses import dataclass

from server.core.errors import Invalid

# The window of For You: its videos are ranked together and served page by page.
WINDOW_COUNT_MAX = 120
_VERSION = 1
_HEAD = struct.Struct(">BBqqq")
_MARK = struct.Struct(">I")
CHARACTERS_MAX = 4 * ((_HEAD.size + WINDOW_COUNT_MAX * _MARK.size + 2) // 3)


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """A place in a feed.

    ``as_of_us``: when the reader began; nothing published later is shown, so new videos never shift her pages.
    ``after_us`` and ``after_id``: the last video of the previous page or window in the order newest first; both zero
    before the first one.
    ``seen_part``: For You has come to the videos the reader had already seen when she began.
    ``served``: marks (``mark``) of the videos of the present window that were served; empty in plain feeds.
    Times are microseconds since 1970.
    """

    as_of_us: int
    after_us: int = 0
    after_id: int = 0
    seen_part: bool = False
    served: frozenset[int] = frozenset()


def mark(video_id: int) -> int:
    """The 32 low bits of an id: its milliseconds and its chance, enough to tell the videos of one window apart."""
    return video_id & 0xFFFFFFFF


def encode(cursor: Cursor) -> str:
    """The cursor as URL-safe text."""
    head = _HEAD.pack(_VERSION, int(cursor.seen_part), cursor.as_of_us, cursor.after_us, cursor.after_id)
    body = b"".join(_MARK.pack(each) for each in sorted(cursor.served))
    return base64.urlsafe_b64encode(head + body).rstrip(b"=").decode()


def decode(text: str) -> Cursor:
    """The cursor again. Raises Invalid for anything ``encode`` did not make."""
    if len(text) > CHARACTERS_MAX:
        raise Invalid("This place in the feed is not valid.", field="cursor")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, seen_part, as_of_us, after_us, after_id = _HEAD.unpack_from(data)
        served = frozenset(each for (each,) in _MARK.iter_unpack(data[_HEAD.size :]))
    except (binascii.Error, ValueError, struct.error):
        raise Invalid("This place in the feed is not valid.", field="cursor") from None
    times_fit = 0 <= after_us <= 2**52 and 0 <= as_of_us <= 2**52 and after_id >= 0
    if version != _VERSION or seen_part not in {0, 1} or not times_fit:
        raise Invalid("This place in the feed is not valid.", field="cursor")
    return Cursor(as_of_us=as_of_us, after_us=after_us, after_id=after_id, seen_part=bool(seen_part), served=served)
