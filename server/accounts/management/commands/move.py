"""``manage.py move bring|arrive|followers|requests|send|progress HANDLE [FILE] [--json]``: what the pages of a move do."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from server.accounts import bringing, moving, queries, telling
from server.accounts.models import Account, SignedMove
from server.core.errors import TributaryError
from server.identity import moverequests
from server.identity.offer import offer_document


class Command(BaseCommand):
    """Bring an identity to a local account, from files, and tell those who followed it."""

    help = (
        "Bring an identity whose owner has the keys (bring: prints the offer to be signed; arrive: takes what was signed), "
        "say who followed it (followers), print what to sign for other servers (requests), send it (send), see how far it got "
        "(progress), or take over the RSA key of an account with the same address (actor_key)"
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for name in ("bring", "arrive", "followers", "requests", "send", "progress", "actor_key"):
            verb = verbs.add_parser(name)
            verb.add_argument("handle", help="the account here")
            verb.add_argument("--json", action="store_true", help="as JSON")
            if name == "bring":
                verb.add_argument("--named", default="", help="the identity (Qm...) or an address at an earlier home")
                verb.add_argument("--log", help="the owner's copy of the did.jsonl")
            if name in ("arrive", "followers", "send", "actor_key"):
                verb.add_argument("file", help="- for standard input")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            account = queries.local_by_handle(options["handle"])
            told = getattr(self, f"_{options['verb']}")(account, options)
        except TributaryError as error:
            raise CommandError(f"{error.code}: {error}") from error
        except (OSError, ValueError) as error:
            raise CommandError(f"This file cannot be read: {error}") from error
        # What is to be signed is a document: it is printed as one either way.
        if options["json"] or "type" in told:
            self.stdout.write(json.dumps(told, indent=None if options["json"] else 2))
        else:
            self.stdout.write("".join(f"{name}: {value}\n" for name, value in told.items()))

    def _bring(self, account: Account, options: dict[str, Any]) -> dict[str, Any]:
        log = _read(options["log"]) if options["log"] else None
        return offer_document(bringing.bring(account=account, by=account, named=options["named"], log=log))

    def _arrive(self, account: Account, options: dict[str, Any]) -> dict[str, Any]:
        account = moving.receive_move(handle=account.handle, body=_read(options["file"]))
        return {"scid": account.scid, "actor": account.uri}

    def _followers(self, account: Account, options: dict[str, Any]) -> dict[str, Any]:
        rows = [json.loads(line) for line in _read(options["file"]).splitlines() if line.strip()]
        return {"added": bringing.keep_followers(account=account, rows=rows), "known": account.former_followers.count()}

    def _requests(self, account: Account, _options: dict[str, Any]) -> dict[str, Any]:
        return moverequests.requests_document(telling.ask_signatures(account=account, by=account))

    def _send(self, account: Account, options: dict[str, Any]) -> dict[str, Any]:
        return _progress(telling.take_signed(account=account, by=account, data=_read(options["file"])))

    def _progress(self, account: Account, _options: dict[str, Any]) -> dict[str, Any]:
        return _progress(telling.last_signed(account))

    def _actor_key(self, account: Account, options: dict[str, Any]) -> dict[str, Any]:
        moving.take_actor_key(account=account, pem=_read(options["file"]))
        return {"actor": account.uri}


def _progress(move: SignedMove | None) -> dict[str, Any]:
    if move is None:
        raise CommandError("No Move was signed for this account.")
    return {"waiting": move.waiting, "delivered": move.delivered, "dead": move.dead}


def _read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
