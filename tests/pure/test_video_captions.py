"""Hashtags, mentions and links in plain text, and the HTML made of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core import limits, richtext
from server.videos import captions


def html(text: str) -> str:
    known = {"bob": "https://here.example/@bob", "dora@peer.example": "https://peer.example/@dora"}
    return captions.as_html(text, link_of_tag=lambda name: f"/tags/{name}", link_of_mention=known.get)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#one #Two, #three_3!", ["one", "two", "three_3"]),
        ("#Été #ÉTÉ #e\u0301te\u0301", ["été"]),
        ("#日本語 and #हिन्दी and #العربية", ["日本語", "हिन्दी", "العربية"]),
        ("\uff03wide", ["wide"]),
        ("#123 #_ # ##twice a#b &#x; /#path", []),
        ("https://x.example/#fragment", []),
        ("#" + "a" * (limits.HASHTAG_CHARACTERS_MAX + 1), []),
        (" ".join(f"#t{n}" for n in range(50)), [f"t{n}" for n in range(limits.TAGS_PER_POST_MAX)]),
    ],
)
def test_hashtags(text: str, tags: list[str]) -> None:
    assert captions.hashtags(text) == tags


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@bob and @dora@peer.example.", ["bob", "dora@peer.example"]),
        ("(@bob) @bob", ["bob"]),
        ("@eve@localhost:8001!", ["eve@localhost:8001"]),
        ("mail@bob.example @@bob @ https://x.example/@bob", []),
    ],
)
def test_mentions(text: str, names: list[str]) -> None:
    assert captions.mentions(text) == names


def test_html_links_what_it_knows_and_escapes_the_rest() -> None:
    made = html('Hi @bob & @nobody: #Tag <b>x</b>\nhttps://x.example/?a=1&b="2 (see https://y.example/a_(b)).\n\nNext')
    assert made == (
        '<p>Hi <a href="https://here.example/@bob" class="u-url mention">@bob</a> &amp; @nobody: '
        '<a href="/tags/tag" class="mention hashtag" rel="tag">#Tag</a> &lt;b&gt;x&lt;/b&gt;<br>'
        '<a href="https://x.example/?a=1&amp;b=" rel="nofollow noopener noreferrer">https://x.example/?a=1&amp;b=</a>&quot;2 '
        '(see <a href="https://y.example/a_(b)" rel="nofollow noopener noreferrer">https://y.example/a_(b)</a>).</p><p>Next</p>'
    )


@pytest.mark.parametrize("text", ["", " \n\n ", "\n"])
def test_nothing_becomes_nothing(text: str) -> None:
    assert html(text) == ""


@given(
    st.text(
        alphabet=st.sampled_from("ab#@<>&\"'/:.()\n é１_") | st.characters(codec="utf-8", exclude_characters="\0"), max_size=200
    )
)
def test_pieces_join_to_the_text_and_html_is_what_a_sanitiser_lets_pass(text: str) -> None:
    assert "".join(piece.text for piece in captions.pieces(text)) == text
    # The words survive: nothing in the text was taken for markup.
    without_space = "".join(richtext.words(html(text)).split())
    assert without_space == "".join(text.split())


@pytest.mark.parametrize(
    ("markup", "clean"),
    [
        ("<p>a <em>b</em><br>c</p>", "<p>a <em>b</em><br>c</p>"),
        ("<ul><li>x</li></ul><blockquote>q</blockquote>", "<ul><li>x</li></ul><blockquote>q</blockquote>"),
        (
            '<a href="https://x.example/" onclick="x()" target="_top">x</a>',
            '<a href="https://x.example/" rel="nofollow noopener noreferrer ugc">x</a>',
        ),
        ('<a href="javascript:alert(1)">x</a>', '<a rel="nofollow noopener noreferrer ugc">x</a>'),
        ('<a href="data:text/html,x">x</a>', '<a rel="nofollow noopener noreferrer ugc">x</a>'),
        ("<script>alert(1)</script><style>p{}</style>x", "x"),
        ('<img src=x onerror="alert(1)"><svg onload=1><p style="position:fixed" class="x">y</p>', "<p>y</p>"),
        ("<h1>big</h1><!-- note --><iframe src=//x></iframe>", "big"),
    ],
)
def test_remote_html_is_sanitised(markup: str, clean: str) -> None:
    assert richtext.sanitise(markup) == clean


def test_words_of_remote_html() -> None:
    assert richtext.words("<p>a &lt;b&gt; &amp; c<br>d</p><p>e</p><script>x</script>") == "a <b> & c\nd\n\ne"
    assert len(richtext.sanitise("x" * 100_000)) == limits.REMOTE_TEXT_CHARACTERS_MAX
