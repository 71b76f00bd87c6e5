"""``manage.py ledger VERB``: the ledger from the command line.

Exit status 0: done, or everything holds. 1: the answer is no: something is broken, or there is nothing to show. 2: it could not
be done or asked; nothing was proven either way.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from payouts import (
    agreements,
    audit,
    checks,
    claiming,
    exports,
    heads,
    instance_keys,
    log,
    mirror,
    peers,
    remote,
    settlement,
    standing,
    statements,
    store,
    witness_policy,
    witnesses,
)
from payouts.ledger.entries import parse_entry
from payouts.ledger.errors import LedgerError
from payouts.ledger.whole import read_whole
from payouts.models import AccountHead, PeerLog, Period, SignedHead
from payouts.store import DiskTiles
from server.core import clock
from server.core.errors import NotFound, TributaryError

NO, UNCLEAR = 1, 2
FORMATS = ("beancount", "jsonl", "fork-proof")


class Command(BaseCommand):
    """Look at the ledger, check it, close periods, and take out of it what others can check."""

    help = "The signed ledger: status, verify, statement, mirror, audit, export, follow, sign, close. Each takes --json."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("status", help="how far the log has got, who has seen it, and what is wrong at first sight")
        verify = verbs.add_parser("verify", help="read a whole log and hold every byte of it against its rules")
        verify.add_argument("--origin", help="the log of another instance (https://HOST); ours, and its rows, without it")
        statement = verbs.add_parser("statement", help="write what is owed to an identity into a file that proves itself")
        statement.add_argument("scid")
        statement.add_argument("--to", type=Path, help="the file (SCID.json.gz if it is not named)")
        export = verbs.add_parser("export", help="write the log for another program, or the proof that convicts another log")
        export.add_argument("--format", choices=FORMATS, required=True)
        export.add_argument("--origin", help="fork-proof: of which log (HOST/ledger/1)")
        export.add_argument("--to", type=Path, help="the file; the standard output if it is not named")
        for verb, what in (
            ("mirror", "copy what is new of another's log, and judge it"),
            ("audit", "run another's closes again"),
        ):
            one = verbs.add_parser(verb, help=f"{what}; all mirrored logs if none is named")
            one.add_argument("origin", nargs="?", help="https://HOST or HOST/ledger/1")
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
            if options["json"]:
                self._say({"error": error.code, "detail": str(error)})
            status = NO if isinstance(error, NotFound) else UNCLEAR
            raise CommandError(f"{error.code}: {error}", returncode=status) from error
        if options["json"]:
            self._say(answer)
        elif options["verb"] != "export" or options["to"]:
            self.stdout.writelines(f"{name}: {value}\n" for name, value in answer.items())
        if answer.get("problems"):
            raise CommandError("what was looked at is not whole", returncode=NO)
        if answer.get("unfinished"):
            raise CommandError("not everything could be looked at", returncode=UNCLEAR)

    def _say(self, answer: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(answer, indent=1, sort_keys=True, default=str))

    def _status(self, _options: dict[str, Any]) -> dict[str, Any]:
        log.begin_log()
        head = store.read_head()
        newest = SignedHead.objects.get(size=head.size)
        root = instance_keys.root_path()
        followed = PeerLog.objects.order_by("origin")
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
            "policy entry": entry.index if (entry := witness_policy.logged()) is not None else None,
            "audited by": {one.cosigner.name: {"size": one.size, "at": clock.iso(one.cosigner.at)} for one in heads.audits()},
            "warnings": witnesses.find_problems(),
            "peers": {peer.origin: {"size": peer.size, "error": peer.error} for peer in followed},
            "problems": [f"{peer.origin} has forked: it shows two histories" for peer in followed if peer.forked_at],
            "root key": f"{root} is on this machine: copy it to a safe place offline and remove it here"
            if root.exists()
            else "offline",
        }

    def _verify(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["origin"]:
            return asdict(remote.verify_log(options["origin"]))
        log.begin_log()
        return {"size": store.read_head().size, "problems": checks.find_problems()}

    def _statement(self, options: dict[str, Any]) -> dict[str, Any]:
        target: Path = options["to"] or Path(f"{options['scid']}.json.gz")
        data = statements.build(options["scid"])
        target.write_bytes(data)
        return {"file": str(target), "bytes": len(data)}

    def _mirror(self, options: dict[str, Any]) -> dict[str, Any]:
        reports = [mirror.mirror_peer(peer) for peer in self._mirrored(options["origin"])]
        return {
            "logs": [report.as_json() for report in reports],
            "problems": [f"{report.origin}: {one}" for report in reports for one in report.disputes],
            "unfinished": [f"{one.origin}: {one.error or 'more is to come'}" for one in reports if not one.is_complete],
        }

    def _audit(self, options: dict[str, Any]) -> dict[str, Any]:
        reports = [audit.audit_peer(peer) for peer in self._mirrored(options["origin"])]
        waiting = (report for report in reports if report.error or report.audited < report.size)
        return {
            "logs": [report.as_json() for report in reports],
            "problems": [f"{report.origin}: {one}" for report in reports for one in report.disputes],
            "unfinished": [f"{one.origin}: {one.error or f'{one.audited} of {one.size} entries audited'}" for one in waiting],
        }

    def _mirrored(self, address: str | None) -> list[PeerLog]:
        if address is None:
            return list(PeerLog.objects.filter(is_mirrored=True).order_by("origin"))
        host = address.partition("://")[2] or address
        origin = host.rstrip("/") if "/ledger/" in host else f"{host.rstrip('/')}/ledger/1"
        found = list(PeerLog.objects.filter(origin=origin.lower()))
        if not found:
            raise NotFound(f"{origin} is not followed here. Begin with: manage.py ledger follow https://HOST")
        return found

    def _export(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["json"] and not options["to"]:
            raise CommandError("--json says what was written: name the file with --to", returncode=UNCLEAR)
        parts = self._fork_proof(options["origin"]) if options["format"] == "fork-proof" else self._log_as(options["format"])
        if not options["to"]:
            for part in parts:
                self.stdout.write(part, ending="")
            return {}
        digest, size = sha256(), 0
        # Under a passing name until it is whole.
        target: Path = options["to"]
        passing = target.with_name(f".{target.name}.part")
        with passing.open("wb") as file:
            for part in parts:
                data = part.encode()
                digest.update(data)
                size += file.write(data)
        passing.replace(target)
        return {"file": str(target), "bytes": size, "sha256": digest.hexdigest()}

    def _log_as(self, form: str) -> Iterator[str]:
        """Every entry, proven against the newest signed head before it is written."""
        newest = SignedHead.objects.order_by("-size").first()
        if newest is None:
            raise NotFound("This ledger has not begun.")
        checkpoint = statements.open_head(newest).checkpoint
        entries = read_whole(DiskTiles(), checkpoint)
        return exports.jsonl(entries) if form == "jsonl" else exports.beancount(checkpoint.origin, map(parse_entry, entries))

    def _fork_proof(self, origin: str | None) -> Iterator[str]:
        found = PeerLog.objects.exclude(forked_at=None).order_by("origin")
        convicted = {peer.origin: bytes(peer.fork_proof) for peer in found if peer.fork_proof and origin in (None, peer.origin)}
        if not convicted:
            raise NotFound(f"There is no proof here against {origin or 'any log'}.")
        if len(convicted) > 1:
            raise CommandError(f"name one with --origin: {' '.join(convicted)}", returncode=UNCLEAR)
        return (proof.decode() for proof in convicted.values())

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
