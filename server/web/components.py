"""The page that shows every component in every state, made of samples that are in no database."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from payouts.ledger.merkle import hashes, nodes_of, prove_inclusion
from payouts.proof_path import steps
from server.accounts.models import Account
from server.core import clock
from server.videos.models import Comment, Video
from server.videos.queries import Playback
from server.web import drawings
from server.web.cards import Card
from server.web.threads import Conversation

HASH = "LEHV6nWB2yk8pyo0adR*.7kCMdnj"
COLOURS = ["paper", "surface", "sunken", "ink", "accent", "accent-soft", "ember", "ember-soft", "good", "warn", "danger", "stage"]
STATES = ("uploading", "processing", "failed", "ready", "published")


class SampleForm(forms.Form):
    """One field of each kind."""

    plain = forms.CharField(
        label="Name", required=False, widget=forms.TextInput(attrs={"placeholder": "River Cat"}), help_text="A help text."
    )
    wrong = forms.EmailField(label="E-mail")
    long = forms.CharField(label="Bio", required=False, widget=forms.Textarea(attrs={"rows": 3, "placeholder": "Several lines"}))
    choice = forms.ChoiceField(label="Visibility", choices=[("a", "Public"), ("b", "Unlisted")])
    one_of = forms.ChoiceField(label="One of", choices=[("a", "Spam or scam"), ("b", "Something else")], widget=forms.RadioSelect)
    off = forms.BooleanField(label="A switch, off", required=False, help_text="What it does.")
    on = forms.BooleanField(label="A switch, on", required=False)
    file = forms.FileField(label="A file", required=False)

    def clean(self) -> None:
        """Show what stands above a form."""
        self.add_error(None, "This form could not be saved. The fields below say why.")


@require_safe
def components(request: HttpRequest) -> HttpResponse:
    """All components, for designers, for developers and for the tests of both."""
    video, person = sample_video(), sample_account()
    card = Card(video=video, playback=Playback("", "", ""), caption=mark_safe(f"<p>{video.caption}</p>"))  # noqa: S308 (our own words)
    remote = sample_video(account=sample_account("dora", "peer.example"), is_local=False, sensitive=True)
    answer = sample_comment(sample_account("dora", "peer.example"), "Mine leaves every spring and comes back with mud.", 2)
    context = {
        "colours": COLOURS,
        "form": SampleForm({"wrong": "river", "choice": "a", "one_of": "a", "on": "on"}),
        "person": person,
        "people": [sample_account(name) for name in ("alice", "bob", "charlie", "erin", "mallory", "otto")],
        "remote_person": sample_account("dora", "peer.example"),
        "card": card,
        "liked_card": replace(card, liked=True, shared=True, follow_state="accepted"),
        "tiles": [card, replace(card, video=remote), replace(card, video=sample_video(blurhash="", caption=""))],
        "chart": drawings.chart([0, 3, 1, 0, 8, 5, 13, 2, 0, 21, 7]),
        "chart_label": "60 entries in eleven days; most on the tenth: 21.",
        "tree": sample_tree(),
        "video": video,
        "players": [
            SimpleNamespace(name="is-playing"),
            SimpleNamespace(name="is-muted is-paused"),
            SimpleNamespace(name="is-waiting"),
            SimpleNamespace(name="is-covered", cover=True),
            SimpleNamespace(name="is-broken", error="This video cannot be played right now. Its server may be away."),
        ],
        "thread": [Conversation(sample_comment(person, "My cat does this too. #river", 1), [answer])],
        "works": [SimpleNamespace(name=state, videos=[sample_video(state=state)]) for state in STATES],
    }
    return render(request, "pages/components.html", context)


def sample_account(handle: str = "alice", domain: str = "") -> Account:
    """Somebody who does not exist."""
    return Account(id=1, handle=handle, domain=domain, display_name=handle.title(), uri=f"https://example.org/users/{handle}")


def sample_tree() -> drawings.Tree:
    """The proof of the third of five entries."""
    leaves = hashes(bytes([number]) for number in range(5))
    return drawings.tree(leaves[2], 2, steps(leaves[2], 2, 5, prove_inclusion(nodes_of(leaves), 2, 5)))


def sample_video(account: Account | None = None, **fields: object) -> Video:
    """A video that does not exist."""
    defaults: dict[str, object] = {
        "id": 1,
        "is_local": True,
        "state": "published",
        "caption": "The otter came back to the lower weir this morning.",
        "alt_text": "",
        "duration_ms": 12_000,
        "width": 720,
        "height": 1280,
        "blurhash": HASH,
        "like_count": 1_240,
        "comment_count": 18,
        "share_count": 7,
        "view_count": 20_480,
        "progress_percent": 40,
        "failure": "The file is damaged: it ends in the middle of a picture.",
        "url": "https://example.org/w/1",
        "published_at": clock.now() - timedelta(hours=3),
    }
    return Video(account=account or sample_account(), **{**defaults, **fields})


def sample_comment(account: Account, text: str, number: int) -> Comment:
    """A comment that nobody wrote."""
    return Comment(
        id=number,
        account=account,
        text=text,
        is_local=account.is_local,
        html=f"<p>{text}</p>",
        created_at=clock.now() - timedelta(minutes=5),
    )
