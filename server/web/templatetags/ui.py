"""Small marks that many templates need."""

from datetime import datetime
from urllib.parse import urlsplit

from django import template
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from payouts.ledger.money import in_units
from server.accounts.models import Account
from server.accounts.remote import clean_html
from server.core import clock, storage
from server.videos import captions
from server.videos import queries as videos
from server.videos.models import Comment, Video

register = template.Library()

# The colours an account without a picture may have (parts.css: .avatar-tint-0 and following).
TINTS = 6
_UNITS = ((60, "min"), (3600, "h"), (86_400, "d"), (604_800, "w"), (31_557_600, "y"))


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite; silent unless it has a ``label``."""
    address = f"{static('img/icons.svg')}#{name}"
    if label:
        return format_html('<svg class="icon" role="img" aria-label="{}"><use href="{}"></use></svg>', label, address)
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"></use></svg>', address)


@register.filter
def short(count: int) -> str:
    """``987``, ``1.2K``, ``12K``, ``3.4M``: a count that fits a button."""
    for size, letter in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K")):
        if count >= size:
            tenths = count * 10 // size
            return f"{tenths // 10}{letter}" if tenths >= 100 or tenths % 10 == 0 else f"{tenths / 10:.1f}{letter}"  # noqa: PLR2004
    return str(count)


@register.filter
def ago(when: datetime | None) -> str:
    """``now``, ``5 min``, ``3 h``, ``2 d``, ``7 w``, ``2 y``: how long ago."""
    if when is None:
        return ""
    seconds = max(0, int((clock.now() - when).total_seconds()))
    fitting = [(size, unit) for size, unit in _UNITS if seconds >= size]
    if not fitting:
        return "now"
    size, unit = fitting[-1]
    return f"{seconds // size} {unit}"


@register.filter
def length(milliseconds: int | None) -> str:
    """``0:05``, ``2:30``: the length of a video."""
    seconds = round((milliseconds or 0) / 1000)
    return f"{seconds // 60}:{seconds % 60:02}"


@register.filter
def avatar_url(account: Account) -> str:
    """The address of the account's picture; empty when it has none."""
    return storage.url(account.avatar_file) if account.avatar_file else account.avatar_remote_url


@register.filter
def tint(account: Account) -> int:
    """Which colour stands for an account without a picture: always the same one."""
    return sum(account.acct.encode()) % TINTS


@register.filter
def text_html(text: str) -> SafeString:
    """Plain text as safe paragraphs, its addresses, hashtags and mentions linked."""
    markup = captions.as_html(text, link_of_tag=_tag_page, link_of_mention=_profile_page)
    return mark_safe(markup)  # noqa: S308 (as_html escapes every word)


def _tag_page(name: str) -> str:
    return reverse("tag", args=[name])


def _profile_page(acct: str) -> str:
    return reverse("profile", args=[acct])


@register.filter
def comment_html(comment: Comment) -> SafeString:
    """What a comment says, as safe HTML."""
    return videos.comment_as_html(comment)


@register.filter
def poster_url(video: Video) -> str:
    """The address of a video's picture; empty when it has none."""
    return videos.playback(video).poster_url


@register.filter
def bio_html(account: Account) -> SafeString:
    """The bio as safe HTML: links made of plain text here, the sanitised HTML of other servers cleaned once more."""
    if account.is_local:
        return text_html(account.bio)
    return mark_safe(clean_html(account.bio))  # noqa: S308 (cleaned by nh3 in the same expression)


@register.filter
def units(millionths: int | str) -> str:
    """``12.50`` or ``0.000325``: an amount of millionths in currency units; no fewer than two decimals, no zeros behind."""
    whole, _, fraction = in_units(int(millionths)).partition(".")
    return f"{int(whole):,}.{fraction[:2]}{fraction[2:].rstrip('0')}" if whole != "-0" else f"-0.{fraction}"


@register.filter
def person(who: str) -> str:
    """The e-mail address of ``#7 root@peer.example``, as acts of staff are signed; anything else as it is."""
    return who.partition(" ")[2] or who


@register.filter
def positive(number: int) -> int:
    """The number without its sign."""
    return abs(number)


@register.filter
def host_of(address: str) -> str:
    """``peer.example``: where a link leads."""
    return urlsplit(address).netloc
