"""A month on this instance: alice signed the offer, bob did not, charlie earned nothing; one sponsor paid in."""

from datetime import date
from hashlib import sha256

from nacl.signing import SigningKey

from payouts import agreements, metering, revenue, settlement
from payouts.models import Period
from payouts.settlement import CampaignCharge
from server.identity import actions, keylog
from server.identity.models import Identity

UNIT = 1_000_000
MONTH = "2026-11"
DAY = date(2026, 11, 20)


def entry_id(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:32]


def identity(handle: str) -> Identity:
    return actions.create_identity(handle=handle, home_key=keylog.multikey_of(SigningKey(sha256(handle.encode()).digest())))


class Room:
    def __init__(self) -> None:
        self.alice, self.bob, self.charlie = identity("alice"), identity("bob"), identity("charlie")

    def fund(self, amount: int = 50 * UNIT, name: str = "first", evidence: bytes = b"bank statement") -> None:
        revenue.fund_advertiser(
            advertiser="acme", currency="EUR", gross=amount, fee=0, source="bank", reference="invoice 7",
            evidence=evidence, by="admin@example.org", id=entry_id(name),
        )  # fmt: skip

    def watch(self) -> None:
        for work, scid, views in (("work-a", self.alice.scid, 3), ("work-b", self.bob.scid, 2)):
            for _ in range(views):
                metering.count_view(day=DAY, work=work, creator_scid=scid, weight_ms=9_000)
                metering.count_impression(day=DAY, campaign="spring", work=work, creator_scid=scid)
        metering.count_view(day=DAY, work="work-a", creator_scid=self.alice.scid, weight_ms=100, rejected="too_short")

    def charge(self, price: int = 10_000 * UNIT) -> CampaignCharge:
        return CampaignCharge("spring", "acme", price, metering.open_impressions(campaign="spring"))

    def plan(self, name: str = MONTH, price: int = 2_000 * UNIT) -> Period:
        return settlement.plan_period(name=name, currency="EUR", campaigns=[self.charge(price)], by="admin@example.org")

    def close(self, name: str = MONTH) -> Period:
        period = settlement.approve_period(period=self.plan(name), by="second@example.org")
        return settlement.close_period(period=period, by="second@example.org")

    def month(self) -> Period:
        self.fund()
        agreements.accept_default(scid=self.alice.scid)
        self.watch()
        return self.close()
