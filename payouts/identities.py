"""Which version of an identity's log this instance goes by, written down when it changes."""

from typing import Protocol

from payouts import log
from payouts.ledger.entries import Draft
from payouts.models import AccountHead
from server.identity.models import Identity


class Changed(Protocol):
    """The fact that an identity's log grew."""

    @property
    def scid(self) -> str:
        """Whose."""

    @property
    def version_id(self) -> str:
        """To which version."""


def log_identity(fact: Changed) -> None:
    """Log the new version of an identity that lives here, or that we owe money; others are none of our business."""
    lives_here = Identity.objects.filter(scid=fact.scid, is_home=True).exists()
    if lives_here or AccountHead.objects.filter(scid=fact.scid).exists():
        body = {"scid": fact.scid, "version": fact.version_id}
        log.append([Draft("identity", log.make_id("identity", fact.scid, fact.version_id), body, {})])
