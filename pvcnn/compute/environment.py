"""Settings that Ray reads once, when it is imported: so they are settled before anything here imports it.

A Ray of our own listens on loopback only and asks for a token that only this process and its children
know. With `RAY_ADDRESS` in the environment, as Ray itself sets it for the driver of a job, there is a
cluster already, whose addresses and token are its operator's business: nothing is changed then.
"""

from __future__ import annotations

import os
import secrets
import sys

ADDRESS = "RAY_ADDRESS"
_TOKEN_VARIABLES = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}


def settle() -> None:
    """Has no effect once Ray is imported, and none on what the environment says already."""
    if "ray" in sys.modules or ADDRESS in os.environ:
        return
    # The name mentions other systems, but it holds for all: without clusters, Ray stays on loopback.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if not _TOKEN_VARIABLES & os.environ.keys():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
