"""HTML of other servers (captions, comments, profiles), made harmless, and its words."""

import html
import re

import nh3

from server.core import limits

# What Mastodon writes and shows; everything else loses its tags and keeps its words.
TAGS = frozenset({"p", "span", "br", "a", "del", "pre", "code", "em", "strong", "b", "i", "u", "ul", "ol", "li", "blockquote"})
_cleaner = nh3.Cleaner(
    tags=set(TAGS),
    attributes={"a": {"href"}},
    url_schemes={"http", "https"},
    link_rel="nofollow noopener noreferrer ugc",
    strip_comments=True,
)
_words = nh3.Cleaner(tags=set())


def sanitise(markup: str) -> str:
    """``markup`` with only the harmless tags of ``TAGS``, links to http and https, and no attribute beside ``href``."""
    return _cleaner.clean(markup[: limits.REMOTE_TEXT_CHARACTERS_MAX])


def words(markup: str) -> str:
    """The plain text of ``markup``, its paragraphs and line breaks kept."""
    text = re.sub(r"(?i)<br\s*/?>", "\n", sanitise(markup))
    text = re.sub(r"(?i)</(p|li|blockquote|pre)>", "\n\n", text)
    return re.sub(r"\n{3,}", "\n\n", html.unescape(_words.clean(text))).strip()
