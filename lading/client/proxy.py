"""The proxy that the environment names for a server.

HTTP and WebSocket use the same one. `HTTP_PROXY` is for `http://` servers, `HTTPS_PROXY` for
`https://` servers, `ALL_PROXY` for both; `NO_PROXY` lists hosts that are reached directly. Lower
case works too. A server on this machine is always reached directly.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from lading.protocol.errors import InvalidArgument


def proxy_for(url: str) -> str | None:
    """The address of the proxy to use for a server, None for a direct connection.

    Raises InvalidArgument for a proxy that is neither `http://` nor `https://`.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies_environment()
    if not proxies or _is_local(host) or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy is None:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")) or not urlsplit(proxy).hostname:
        raise InvalidArgument(
            "The proxy that the environment names cannot be used: only http:// and https:// "
            "proxies are supported. Change it, or add the server to NO_PROXY."
        )
    return proxy.rstrip("/")


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
