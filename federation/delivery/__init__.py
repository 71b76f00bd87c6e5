"""What we owe other servers, and how it gets there. With ``fetch`` the only user of ``core.http``."""

from federation.delivery.claiming import any_due
from federation.delivery.owing import drop_waiting, enqueue, forget_old, refresh_waiting
from federation.delivery.sending import send_due

__all__ = ["any_due", "drop_waiting", "enqueue", "forget_old", "refresh_waiting", "send_due"]
