"""What plain text says beyond its words: web addresses, #hashtags and @mentions. Pure: text in, values or HTML out."""

import html
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from server.core import limits

# Python's \w knows letters, digits and the underscore, but not the marks that Devanagari or Arabic words are written with.
_MARKS = "".join(
    chr(point) for point in range(0x300, min(0x20000, sys.maxunicode)) if unicodedata.category(chr(point)) in {"Mn", "Mc"}
)
_WORD = rf"[\w{_MARKS}]"
_TOKEN = re.compile(
    r"(?P<url>https?://[^\s<>\"'`]+)"
    rf"|(?<![\w&/@#.])[@\uff20](?P<mention>[A-Za-z0-9_]+(?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
    r"(?:@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?)?)(?![\w@])"
    rf"|(?<![\w&/#{_MARKS}])[#\uff03](?P<tag>{_WORD}+)",
    re.IGNORECASE,
)
_TRAILING = ".,;:!?'\")]}…»"


@dataclass(frozen=True)
class Piece:
    """A part of a text: ``kind`` is ``text``, ``url``, ``mention`` (``value`` without the @) or ``tag`` (``value`` as stored)."""

    kind: str
    text: str
    value: str = ""


def tag_name(written: str) -> str | None:
    """The stored form of a hashtag (``#Été`` and ``Été`` are ``été``); None for what is none, as ``#123`` or a phrase."""
    name = unicodedata.normalize("NFC", written.removeprefix("#")).lower()
    if not re.fullmatch(rf"{_WORD}+", name) or len(name) > limits.HASHTAG_CHARACTERS_MAX:
        return None
    return None if re.fullmatch(r"[\d_]+", name) else name


def pieces(text: str) -> Iterator[Piece]:
    """The parts of ``text`` in order; their ``text`` joined is ``text`` again."""
    at = 0
    for match in _TOKEN.finditer(text):
        written = match.group()
        if match["url"]:
            written = _trimmed(written)
            piece = Piece("url", written, written)
        elif match["mention"]:
            piece = Piece("mention", written, match["mention"])
        elif (name := tag_name(match["tag"])) is not None:
            piece = Piece("tag", written, name)
        else:
            continue
        if match.start() > at:
            yield Piece("text", text[at : match.start()])
        yield piece
        at = match.start() + len(written)
    if at < len(text):
        yield Piece("text", text[at:])


def _trimmed(url: str) -> str:
    """``url`` without the punctuation of the sentence around it; a closing bracket stays when it was opened inside."""
    while url and url[-1] in _TRAILING and not (url[-1] == ")" and url.count("(") >= url.count(")")):
        url = url[:-1]
    return url


def hashtags(text: str) -> list[str]:
    """The tags of ``text`` as they are stored, each once, in order, at most ``TAGS_PER_POST_MAX``."""
    return list(dict.fromkeys(piece.value for piece in pieces(text) if piece.kind == "tag"))[: limits.TAGS_PER_POST_MAX]


def mentions(text: str) -> list[str]:
    """Whom ``text`` addresses, without the @ (``bob``, ``dora@peer.example``), each once, in order, as written."""
    return list(dict.fromkeys(piece.value for piece in pieces(text) if piece.kind == "mention"))


def as_html(text: str, *, link_of_tag: Callable[[str], str], link_of_mention: Callable[[str], str | None]) -> str:
    """``text`` as paragraphs of safe HTML. A mention nobody has an address for stays text."""

    def inline(piece: Piece) -> str:
        if piece.kind == "tag":
            link = html.escape(link_of_tag(piece.value))
            return f'<a href="{link}" class="mention hashtag" rel="tag">{html.escape(piece.text)}</a>'
        if piece.kind == "mention" and (address := link_of_mention(piece.value)) is not None:
            return f'<a href="{html.escape(address)}" class="u-url mention">{html.escape(piece.text)}</a>'
        if piece.kind == "url":
            link = html.escape(piece.value)
            return f'<a href="{link}" rel="nofollow noopener noreferrer">{link}</a>'
        return html.escape(piece.text)

    paragraphs = [part for part in re.split(r"\n[ \t]*\n\s*", text.replace("\r\n", "\n").strip()) if part]
    return "".join(f"<p>{''.join(map(inline, pieces(part))).replace(chr(10), '<br>')}</p>" for part in paragraphs)
