#!/usr/bin/env python
"""Commands of an instance: ``manage.py help``."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Make missing secrets when there is a data directory of our own, then run the command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
    if not os.environ.get("TRIBUTARY_SECRET_KEY") and not os.environ.get("TRIBUTARY_SECRET_KEY_FILE"):
        from server.secrets import ensure

        ensure(Path(os.environ.get("TRIBUTARY_DATA_DIR") or Path(__file__).resolve().parent / "data").resolve())
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
