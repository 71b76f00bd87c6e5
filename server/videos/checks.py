"""Who may do what to which video, and what words may say: the rules that several verbs share. Each refuses by raising."""

import re
import unicodedata

from server.accounts.models import Account
from server.accounts.queries import is_blocked
from server.core.errors import Invalid, NotAllowed, NotFound
from server.videos import states
from server.videos.models import Video

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_LANGUAGE_CHARACTERS_MAX = 20


def lock(video: Video) -> None:
    """Read the row of ``video`` again and hold it until the present transaction ends."""
    video.refresh_from_db(from_queryset=Video.objects.select_for_update(of=("self",)))


def require_active(account: Account) -> None:
    """Raise NotAllowed for an account that is suspended or closed."""
    if account.suspended_at is not None or account.deleted_at is not None:
        raise NotAllowed("This account may not act.")


def require_may_post(account: Account) -> None:
    """Raise NotAllowed for an account that is suspended, closed, or whose archive is still being checked."""
    require_active(account)
    if account.held_back_at is not None:
        raise NotAllowed("What you brought along is still being checked. You can post as soon as that is done.")


def require_owner(video: Video, by: Account) -> None:
    """Raise NotAllowed unless ``video`` belongs to ``by``; NotFound where a stranger must not even learn that it exists."""
    if video.account_id == by.pk:
        require_active(by)
    elif video.state == states.PUBLISHED:
        raise NotAllowed("Only the owner of a video may do this.")
    else:
        raise NotFound("There is no such video.")


def require_reachable(video: Video, by: Account) -> None:
    """Raise NotFound unless ``video`` is published by an account in good standing; NotAllowed if either side blocks the other."""
    owner = video.account
    if video.state != states.PUBLISHED or owner.suspended_at is not None or owner.deleted_at is not None:
        raise NotFound("There is no such video.")
    require_active(by)
    require_no_block(by, owner)


def require_no_block(one: Account, other: Account) -> None:
    """Raise NotAllowed if either account blocks the other."""
    if one.pk != other.pk and (is_blocked(by=one, who=other) or is_blocked(by=other, who=one)):
        raise NotAllowed("You cannot interact with this account.")


def clean_text(text: str, *, field: str, characters_max: int, characters_min: int = 0) -> str:
    """``text`` without control characters and outer space, its line ends LF. Raises Invalid when too short or too long."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(each for each in text if each in "\n\t" or unicodedata.category(each) not in {"Cc", "Cs"}).strip()
    if len(text) < characters_min:
        raise Invalid("Write something first.", field=field)
    if len(text) > characters_max:
        msg = f"This is {len(text)} characters long; at most {characters_max} are possible."
        raise Invalid(msg, field=field)
    return text


def clean_language(language: str) -> str:
    """A BCP 47 tag such as ``en`` or ``pt-BR``, or nothing. Raises Invalid."""
    if language and (len(language) > _LANGUAGE_CHARACTERS_MAX or not _LANGUAGE.fullmatch(language)):
        raise Invalid("This is not a language tag such as en or pt-BR.", field="language")
    return language
