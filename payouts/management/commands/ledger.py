"""``manage.py ledger status|verify|statement SCID|follow ORIGIN|sign SCID|close PERIOD``: the ledger from the command line."""

import argparse
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from payouts import agreements, checks, claiming, instance_keys, log, peers, settlement, standing, statements, store, witnesses
from payouts.ledger.errors import LedgerError
from payouts.models import AccountHead, PeerLog, Period, SignedHead
from server.core.errors import TributaryError


class Command(BaseCommand):
    """Look at the ledger, check it, and close periods."""

    help = "The signed ledger: ledger status|verify|statement SCID|follow ORIGIN|sign SCID|close PERIOD [--json]"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("status", help="how far the log has got, and who has seen it")
        verbs.add_parser("verify", help="replay the whole log and hold the database against it; exit 1 when something is wrong")
        statement = verbs.add_parser("statement", help="write what is owed to an identity into a file that proves itself")
        statement.add_argument("scid")
        statement.add_argument("--to", type=Path, help="the file (SCID.json.gz if it is not named)")
        follow = verbs.add_parser("follow", help="follow and cosign the ledger of another instance")
        follow.add_argument("origin", help="https://HOST")
        sign = verbs.add_parser("sign", help="sign a default agreement for an identity whose key is held here")
        sign.add_argument("scid")
        sign.add_argument("--debtor", default="", help="the ledger of another instance, such as peer.example/ledger/1; else ours")
        close = verbs.add_parser("close", help="share an approved period; repeat it after a crash")
        close.add_argument("period", help="its name, such as 2026-11")
        close.add_argument("--currency", default="EUR")
        close.add_argument("--by", default="command line")
        for one in verbs.choices.values():
            one.add_argument("--json", action="store_true", help="the answer as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        verb = getattr(self, f"_{options['verb']}")
        try:
            answer: dict[str, Any] = verb(options)
        except (TributaryError, LedgerError) as error:
            raise CommandError(f"{error.code}: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps(answer, indent=1, sort_keys=True, default=str))
        else:
            self.stdout.writelines(f"{name}: {value}\n" for name, value in answer.items())
        if answer.get("problems"):
            raise CommandError("the ledger is not whole")

    def _status(self, _options: dict[str, Any]) -> dict[str, Any]:
        log.begin_log()
        head = store.read_head()
        newest = SignedHead.objects.get(size=head.size)
        root = instance_keys.root_path()
        return {
            "origin": instance_keys.origin(),
            "size": head.size,
            "root": head.root.hex(),
            "vkey": str(instance_keys.signer("ledger").verifier),
            "accounts": AccountHead.objects.count(),
            "cosigned by": [line.split(" ")[1] for line in newest.cosignatures.splitlines()],
            "read-only": str(standing.suspension() or "no"),
            "witnesses": {
                one.name: {"seen": one.saw_size, "behind": max(0, head.size - one.saw_size), "error": one.error}
                for one in witnesses.active()
            },
            "quorum": witnesses.quorum(),
            "warnings": witnesses.find_problems(),
            "peers": {peer.origin: {"size": peer.size, "error": peer.error} for peer in PeerLog.objects.order_by("origin")},
            "root key": f"{root} is on this machine: copy it to a safe place offline and remove it here"
            if root.exists()
            else "offline",
        }

    def _verify(self, _options: dict[str, Any]) -> dict[str, Any]:
        log.begin_log()
        return {"size": store.read_head().size, "problems": checks.find_problems()}

    def _statement(self, options: dict[str, Any]) -> dict[str, Any]:
        target: Path = options["to"] or Path(f"{options['scid']}.json.gz")
        data = statements.build(options["scid"])
        target.write_bytes(data)
        return {"file": str(target), "bytes": len(data)}

    def _follow(self, options: dict[str, Any]) -> dict[str, Any]:
        peer = peers.follow_log(instance_origin=options["origin"])
        return {"origin": peer.origin, "size": peer.size, "root": peer.root}

    def _sign(self, options: dict[str, Any]) -> dict[str, Any]:
        scid, debtor = options["scid"], options["debtor"]
        if debtor in ("", instance_keys.origin()):
            return {"debtor": instance_keys.origin(), "agreement": agreements.accept_default(scid=scid).agreement_id}
        signed = claiming.accept_elsewhere(scid=scid, peer=claiming.peer_called(debtor))
        return {"debtor": debtor, "agreement": signed.agreement_id}

    def _close(self, options: dict[str, Any]) -> dict[str, Any]:
        period = Period.objects.filter(name=options["period"], currency=options["currency"]).first()
        if period is None:
            raise CommandError("No such period was planned.")
        period = settlement.close_period(period=period, by=options["by"])
        shares = settlement.preview(period)
        return {
            "period": str(period),
            "amount": period.amount,
            "carried in": period.carried_in,
            "shared": {one.scid: one.amount for one in shares.accruals},
            "places": dict(shares.places),
            "carry": period.carry,
            "close entry": period.close_entry_id,
        }
