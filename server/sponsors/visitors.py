"""A name for somebody who is not signed in, so that one machine cannot be a crowd: by network, for one day, with our secret."""

import hashlib
import hmac
import ipaddress
from datetime import datetime, timedelta

from django.conf import settings

# A household has one IPv4 address, or one IPv6 network of this many bits.
IPV6_PREFIX_BITS = 64


def pseudonym(address: str, moment: datetime) -> str:
    """The name of whoever comes from ``address`` on the day of ``moment``. It leads back to nobody without our secret."""
    text = f"visitor {moment:%Y-%m-%d} {_network(address)}"
    return hmac.new(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def lately(address: str, moment: datetime) -> list[str]:
    """The names of ``address`` in the last 24 hours: those of two days."""
    return [pseudonym(address, moment), pseudonym(address, moment - timedelta(days=1))]


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        # Behind a Unix socket without a proxy that says more: all are one visitor.
        return "nowhere"
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    bits = IPV6_PREFIX_BITS if plain.version == 6 else plain.max_prefixlen  # noqa: PLR2004 (the version of the protocol)
    return str(ipaddress.ip_network((plain, bits), strict=False))
