"""``manage.py accounts create``, ``accounts close`` and ``accounts alias``: from the command line."""

import argparse
import getpass
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import transaction

from server.accounts import actions, aliases
from server.accounts.models import Account, User
from server.core.errors import TributaryError


class Command(BaseCommand):
    """Create accounts, administrators among them, close them, and say which accounts elsewhere are the same person."""

    help = (
        "Open an account (accounts create HANDLE --email ADDRESS [--admin]), close one for ever (accounts close HANDLE --yes), "
        "or name another account of hers, from which she will move here (accounts alias HANDLE ADDRESS [--remove])"
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create")
        create.add_argument("handle")
        create.add_argument("--email", required=True)
        create.add_argument("--admin", action="store_true", help="may use everything in /admin/")
        create.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input instead of asking"
        )

        close = verbs.add_parser("close")
        close.add_argument("handle")
        close.add_argument("--yes", action="store_true", help="it cannot be undone; without this nothing is done")

        alias = verbs.add_parser("alias")
        alias.add_argument("handle")
        alias.add_argument("address", help="of the account elsewhere, such as alice@mastodon.example")
        alias.add_argument("--remove", action="store_true", help="take it off the list")

    def handle(self, *_args: Any, **options: Any) -> None:
        {"create": self._create, "close": self._close, "alias": self._alias}[options["verb"]](options)

    def _account(self, options: dict[str, Any]) -> Account:
        account = Account.objects.filter(handle__iexact=options["handle"], domain="", deleted_at=None).first()
        if account is None:
            raise CommandError(f"There is no account {options['handle']} here.")
        return account

    def _alias(self, options: dict[str, Any]) -> None:
        account = self._account(options)
        try:
            if options["remove"]:
                other = actions.ask_account(address=options["address"])
                aliases.remove_alias(account=account, by=account, uri=other.uri)
            else:
                other = aliases.add_alias(account=account, by=account, address=options["address"])
        except TributaryError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{other} {'is no longer' if options['remove'] else 'is'} an account of {account}")

    def _close(self, options: dict[str, Any]) -> None:
        account = self._account(options)
        if not options["yes"]:
            raise CommandError(f"This deletes {account} and its videos for ever. Say --yes if you mean it.")
        actions.close_account(account=account, by=account)
        self.stdout.write(f"{account} is closed; the workers delete what was its.")

    def _create(self, options: dict[str, Any]) -> None:
        password = sys.stdin.readline().rstrip("\n") if options["password_stdin"] else getpass.getpass("Password: ")
        try:
            validate_email(options["email"])
            validate_password(password)
            with transaction.atomic():
                if User.objects.filter(email__iexact=options["email"]).exists():
                    raise CommandError("There is a user with this e-mail address already.")
                make = User.objects.create_superuser if options["admin"] else User.objects.create_user
                account = actions.open_account(user=make(options["email"], password), handle=options["handle"])
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except TributaryError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{account} can sign in as {options['email']}" + (", and is an administrator" if options["admin"] else "")
        )
