"""``manage.py api_token HANDLE``: a token for one's own scripts, shown once."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from server.accounts import queries
from server.api import programs
from server.core.errors import TributaryError

DAYS_MAX = 3650


class Command(BaseCommand):
    help = "Make an API token for a local account and print it. It is stored only as a hash."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("handle", help="the local account")
        parser.add_argument("--scope", action="append", choices=["read", "write"], help="default: both")
        parser.add_argument("--days", type=int, default=365, help="how long it is valid (default 365)")

    def handle(self, *args: object, handle: str, scope: list[str] | None, days: int, **options: object) -> None:  # noqa: ARG002 (Django's)
        if not 1 <= days <= DAYS_MAX:
            message = f"--days must be between 1 and {DAYS_MAX}"
            raise CommandError(message)
        try:
            account = queries.local_by_handle(handle.removeprefix("@"))
            token = programs.make_token(account=account, scopes=scope or ["read", "write"], days=days)
        except TributaryError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(token)
