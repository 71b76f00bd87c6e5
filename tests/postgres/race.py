"""One worker process of the race: run with the URL of the test database in the environment."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")

import django

django.setup()
from django.conf import settings

settings.FACTS_WIRING = "tests.sim.wiring.SUBSCRIBERS"

from server.core import worker

ran = 0
while done := worker.work("default", seconds_max=120):
    ran += done
sys.stdout.write(f"{ran}\n")
