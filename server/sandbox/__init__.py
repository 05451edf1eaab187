"""The embedded Decthings: the same wire, its own store, no account and no network.

It is a stand-in to try the tools with and to test against, written from the API page and the published
protocol. Where those are silent it does what seems most sensible, and the code says so.
"""

from .app import BAD_KEYS, OWN_KEY, create_sandbox
from .serving import serve_sandbox

__all__ = ["BAD_KEYS", "OWN_KEY", "create_sandbox", "serve_sandbox"]
