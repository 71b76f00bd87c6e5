"""An instance without a web server, as a process of its own: ``python -m tests.federation.one_process COMMAND ...``.

Commands: ``owe URL...`` (one delivery from alice to each inbox), ``send`` (send what is due), ``show`` (the rows, as JSON).
"""

import json
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.federation.one_process_settings")


def main(command: str, *arguments: str) -> None:
    import django

    django.setup()
    from federation import delivery
    from federation.models import Delivery

    if command == "owe":
        _owe(arguments)
    elif command == "send":
        delivery.send_due()
    else:
        rows = Delivery.objects.order_by("id").values("inbox", "state", "attempts", "last_error")
        sys.stdout.write(json.dumps(list(rows)))


def _owe(inboxes: tuple[str, ...]) -> None:
    from django.core.management import call_command
    from django.db import transaction

    from federation import delivery
    from server.accounts import actions
    from server.accounts.models import User

    call_command("migrate", run_syncdb=True, verbosity=0)
    alice = actions.open_account(user=User.objects.create(email="alice@example.org"), handle="alice")
    with transaction.atomic():
        for number, inbox in enumerate(inboxes):
            activity = {"id": f"{alice.uri}/posts/{number}/activity", "type": "Create", "actor": alice.uri, "object": "x"}
            delivery.enqueue(activity=activity, sender=alice, inboxes=[inbox])


if __name__ == "__main__":
    main(*sys.argv[1:])
