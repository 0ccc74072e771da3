"""Which addresses a webhook may be sent to: the public internet, and what the operator allows besides.

Python's `ipaddress` calls several ranges global that lead elsewhere: NAT64 and 6to4 carry an IPv4 address inside, a
cloud's virtual addresses answer from inside its network. Sources: the IANA special-purpose address registries, and
https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16 for the last of IPv4.
"""

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DENIED_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",
    )
)
# Outside of it all is unassigned or special: ::/128, ::1, 64:ff9b::/96, fc00::/7, fe80::/10, fec0::/10, ff00::/8.
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_DENIED_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Tell whether a webhook may be sent to this address."""
    unwrapped = unwrap(address)
    return any(unwrapped in network for network in allowed) or not _is_denied(unwrapped)


def unwrap(address: Address) -> Address:
    """Return the IPv4 address inside an IPv4-mapped IPv6 one, for that is where the packets go."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_denied(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not address.is_global or any(address in network for network in _DENIED_IPV4)
    if address not in _GLOBAL_IPV6 or address.scope_id is not None:
        return True
    return not address.is_global or any(address in network for network in _DENIED_IPV6)
