"""Making a URL from what a pod says about itself, so that it can lead nowhere but to that pod.

Annotations are written by whoever may create pods; the exporter runs in the node's trust. So the host is always
the pod's own address, and a port, path or scheme that is not plainly one is refused with a reason.
"""

from __future__ import annotations

import re

# The characters of a path (RFC 3986, pchar and "/"), less "@"; so no query, fragment, space or control character.
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:/%-]{0,1023}", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_SHOWN_CHARACTERS = 60


class AddressError(Exception):
    """A part of an address that is refused; the message says which and why."""


def pod_host(ip: str) -> str:
    """Return a pod's address as a URL's host, IPv6 in brackets.

    Raises AddressError for what is no address, and for loopback, link-local (where clouds serve their
    metadata), multicast and unspecified addresses, which belong to no pod.
    """
    # Imported here: a node without pods is spared half a megabyte.
    import ipaddress

    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        raise AddressError(f"{shown(ip)} is no IP address") from None
    plain = (getattr(address, "ipv4_mapped", None) or address) if address.version == 6 else address
    if plain.is_loopback or plain.is_link_local or plain.is_multicast or plain.is_unspecified:
        raise AddressError(f"{shown(ip)} cannot be a pod's address")
    if address.version == 4:
        return str(address)
    if "%" in ip:
        raise AddressError(f"{shown(ip)} has a zone")
    return f"[{address}]"


def port_number(text: str) -> int:
    """Read a port from 1 to 65535. Raises AddressError."""
    number = int(text) if _PORT.fullmatch(text) else 0
    if not 1 <= number <= 65535:
        raise AddressError(f"{shown(text)} is no port from 1 to 65535")
    return number


def metrics_path(text: str) -> str:
    """Check a path. Raises AddressError."""
    if not _PATH.fullmatch(text) or text.startswith("//"):
        raise AddressError(f"{shown(text)} is no path: it starts with one slash and has no spaces, query or '@'")
    return text


def url_scheme(text: str) -> str:
    """Check a scheme. Raises AddressError."""
    if text not in {"http", "https"}:
        raise AddressError(f"{shown(text)} is neither http nor https")
    return text


def shown(text: str) -> str:
    """A foreign text for one line of a message: quoted, control characters escaped, cut."""
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
    return ascii(cut)
