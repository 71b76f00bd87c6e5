"""The address of a person, ``user@host[:port]``: what may stand in it, and its one canonical form. Pure.

Sources: RFC 7565 (acct), RFC 5891 (IDNA 2008) by the ``idna`` package with UTS-46, which is used everywhere a host is compared.
"""

import re
from dataclasses import dataclass

from server.core import hosts, limits
from server.core.errors import Conflict, Invalid

LOCAL_HANDLE = re.compile(rf"[A-Za-z0-9_]{{1,{limits.HANDLE_CHARACTERS_MAX}}}")
# Wider than ours: Mastodon allows dots and dashes inside, PeerTube colons, bridges whole domain names.
REMOTE_HANDLE = re.compile(r"[A-Za-z0-9_.~:\-]{1,255}")

# Names that are pages, roles or protocol words somewhere, or that a reader would take for the staff.
_RESERVED = """
about abuse account accounts activity actor admin administrator admins api app apps auth authorize channel channels
comments components contact dashboard deleted docs everyone explore federated federation feed followers following
healthz help here hls home hostmaster inbox info instance instance_actor ledger legal local login logout mail
mailer_daemon me media metrics mod moderation moderator moderators new nobody nodeinfo noreply no_reply notifications
null oauth official outbox owner payouts postmaster posts privacy public readyz register relay report root rules
schema search security self service settings shared_inbox signin signout signup sponsor sponsors staff static status
studio support sysadmin system tag tags team terms tributary undefined upload uploads user users video videos wallet
watch webfinger webmaster well_known www
"""
RESERVED_HANDLES = frozenset(_RESERVED.split())


@dataclass(frozen=True)
class Address:
    """``handle@host``; ``host`` is canonical."""

    handle: str
    host: str

    def __str__(self) -> str:
        return f"{self.handle}@{self.host}"


def check_handle(handle: str) -> None:
    """Refuse what cannot be a handle here. Raises Invalid (shape) or Conflict (reserved), both with ``field="handle"``."""
    if not LOCAL_HANDLE.fullmatch(handle):
        message = f"A handle has 1 to {limits.HANDLE_CHARACTERS_MAX} letters (a to z), digits or underscores."
        raise Invalid(message, field="handle")
    if handle.isdigit():
        # Only digits would be taken for the id of an account.
        raise Invalid("A handle has at least one letter or underscore.", field="handle")
    if handle.lower() in RESERVED_HANDLES:
        raise Conflict("This handle is reserved. Choose another one.", field="handle")


def canonical_host(text: str) -> str:
    """``text`` (``host`` or ``host:port``) in lower case as A-labels, without trailing dot and default port.

    The spelling is that of ``core.hosts``, which ids, keys and peers are compared by. Raises Invalid for what is not a
    host name or an IPv4 address.
    """
    if text.startswith("["):
        raise Invalid("This is not a host name.", field="host")
    try:
        return hosts.canonical_authority(text).removesuffix(":80")
    except hosts.BadAddress as error:
        raise Invalid("This is not a host name.", field="host") from error


def parse_address(text: str) -> Address:
    """``dora@peer.example``, also with a leading ``@`` or ``acct:``. Raises Invalid(field="address")."""
    bare = text.strip().removeprefix("acct:").removeprefix("@")
    handle, _, host = bare.partition("@")
    if not REMOTE_HANDLE.fullmatch(handle):
        raise Invalid("An address looks like user@example.org.", field="address")
    try:
        return Address(handle, canonical_host(host))
    except Invalid as error:
        raise Invalid("An address looks like user@example.org.", field="address") from error
