"""What every page knows: the instance, and who is looking."""

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from server.core import limits
from server.web.reminders import keys_reminder
from server.web.viewers import viewer_of


def instance(request: HttpRequest) -> dict[str, object]:
    """The instance's name, address and limits; ``viewer``: an account, or something false for a visitor; ``keys_reminder``."""
    return {
        "instance_name": settings.INSTANCE_NAME,
        "instance_description": settings.INSTANCE_DESCRIPTION,
        "instance_host": settings.HOST,
        "origin": settings.ORIGIN,
        "registration_open": settings.REGISTRATION_OPEN,
        "limits": limits,
        "viewer": SimpleLazyObject(lambda: viewer_of(request)),
        "keys_reminder": SimpleLazyObject(lambda: keys_reminder(request)),
    }
