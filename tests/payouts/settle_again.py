"""One month, settled anew by one process: ``python -m tests.payouts.settle_again SEED`` prints what the log says of it.

Keys, identities and the time are always the same; the seed says in which order rows come in. The database is left as it was.
"""

import json
import locale
import os
import random
import sys
import time
from collections.abc import Iterable
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any, TypeVar

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
# Where this process stands; Django sets a zone of its own.
ZONE = time.strftime("%z", time.localtime(0))

import django

django.setup()
from django.db import transaction
from nacl.public import PrivateKey
from nacl.signing import SigningKey

from payouts import agreements, instance_keys, log, metering, queries, revenue, settlement, store
from payouts.ledger.entries import parse_entry
from payouts.ledger.multikey import multikey
from payouts.models import LogEntry
from payouts.settlement import CampaignCharge
from server.core import clock, keys
from server.core.models import InstanceKey
from server.identity import actions
from tests.payouts.ledger_world import UNIT, person, seed

T = TypeVar("T")
NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
# Names that another locale or another database would sort, or change to small letters, in another way.
WORKS = {"work-I": "alice", "work-i": "alice", "work-\u0130": "bob", "work-\u0131": "bob", "Work-a": "charlie", "w\u00f6rk": "bob", "work b": "charlie"}  # fmt: skip
CAMPAIGNS = (("spring", "acme", 2_000), ("autumn", "zeta", 777), ("winter", "acme", 1_313))


def fixed_keys() -> None:
    """The keys that the log names, made from their names."""
    for name, algorithm in instance_keys.NAMES.items():
        private = seed(f"settle again {name}")
        public = PrivateKey(private).public_key if algorithm == "x25519" else SigningKey(private).verify_key
        InstanceKey.objects.create(
            name=name, algorithm=algorithm, public=multikey(bytes(public), algorithm), private_sealed=keys.seal(private), created_at=NOW
        )  # fmt: skip
    instance_keys.write_secret(instance_keys.root_path(), seed("settle again root").hex())


def rows() -> list[tuple[Any, ...]]:
    """What was watched: (day, work, creator, how long, why not), and beside which slots."""
    found: list[tuple[Any, ...]] = []
    for number, (work, creator) in enumerate(WORKS.items()):
        for view in range(2 + number % 3):
            day = date(2026, 11, 1 + (7 * number + view) % 30)
            found.append((day, work, person(creator).scid, 5_000 + 111 * view, "" if view % 4 else "too_short"))
            for campaign, _, _ in CAMPAIGNS[: 1 + view % 3]:
                found.append((day, campaign, work, person(creator).scid))
    return found


def shuffled(chance: random.Random, values: Iterable[T]) -> list[T]:
    every = list(values)
    chance.shuffle(every)
    return every


def settle(chance: random.Random) -> dict[str, Any]:
    fixed_keys()
    for name in shuffled(chance, ("alice", "bob", "charlie")):
        actions.accept_log(data=person(name).log.data)
    log.begin_log()
    for advertiser in ("acme", "zeta"):
        revenue.fund_advertiser(
            advertiser=advertiser, currency="EUR", gross=500 * UNIT, fee=0, source="bank", reference="invoice 7",
            evidence=advertiser.encode(), by="admin", id=sha256(advertiser.encode()).hexdigest()[:32],
        )  # fmt: skip
    for name in ("alice", "bob"):
        agreements.accept_default(scid=person(name).scid, key=person(name).user_key)
    for row in shuffled(chance, rows()):
        if len(row) == 5:
            day, work, scid, weight_ms, rejected = row
            metering.count_view(day=day, work=work, creator_scid=scid, weight_ms=weight_ms, rejected=rejected)
        else:
            day, campaign, work, scid = row
            metering.count_impression(day=day, campaign=campaign, work=work, creator_scid=scid)
    charges = [
        CampaignCharge(name, advertiser, price * UNIT, dict(shuffled(chance, metering.open_impressions(campaign=name).items())))
        for name, advertiser, price in shuffled(chance, CAMPAIGNS)
    ]
    planned = settlement.plan_period(name="2026-11", currency="EUR", campaigns=charges, by="admin", operating_cost=1_234_567)
    period = settlement.approve_period(period=planned, by="second")
    settlement.close_period(period=period, by="second")
    head = store.read_head()
    told = [parse_entry(bytes(row.data)) for row in LogEntry.objects.order_by("index")]
    return {
        "root": head.root.hex(),
        "size": head.size,
        "plan": sha256(bytes(period.plan)).hexdigest(),
        **{entry.type: dict(entry.body) for entry in told if entry.type in ("meter", "close", "accounts.root")},
        "payable": {name: [claim.payable for claim in queries.claims(person(name).scid)] for name in ("alice", "bob", "charlie")},
    }


def main() -> None:
    clock.now = lambda: NOW
    language = locale.setlocale(locale.LC_ALL, "")
    with transaction.atomic():
        told = settle(random.Random(sys.argv[1]))
        transaction.set_rollback(True)
    around = {"hash": hash("a"), "language": language, "zone": ZONE, "vendor": transaction.get_connection().vendor}
    sys.stdout.write(f"settled {json.dumps({'told': told, 'around': around})}\n")


main()
