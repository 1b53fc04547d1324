"""Keep this process's memory in place, so that no page has to be fetched during a tick."""

from __future__ import annotations

import ctypes
import logging
import os

_MCL_CURRENT, _MCL_FUTURE = 1, 2
_log = logging.getLogger(__name__)


def lock_memory() -> str:
    """Lock all pages, those of now and of later.

    Returns:
        "locked", or "refused: ..." where the system does not permit it; that is logged too, and
        the process goes on.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) == 0:
        return "locked"
    reason = os.strerror(ctypes.get_errno())
    _log.warning(
        "lock_memory refused: %s. Allow it in /etc/security/limits.conf (memlock).", reason
    )
    return f"refused: {reason}"
