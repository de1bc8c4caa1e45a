"""A folder that one process of a kind may have. Apart from `ownership`, which cameras load too."""

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

from secondlook.adapters.ownership import lock, make_private
from secondlook.errors import ConfigError


@contextlib.asynccontextmanager
async def owned(folder: Path, key: str, what: str) -> AsyncIterator[None]:
    """Make a folder and keep it for this process.

    Args:
        folder: The folder.
        key: Of the configuration, that says where it is.
        what: The kind of process that may be there already, for instance `detector`.

    Raises:
        ConfigError: Another process holds it, or it cannot be used.
    """
    try:
        make_private(folder)
        held = await asyncio.to_thread(lock, folder)
    except BlockingIOError:
        raise ConfigError(
            f"{key}: {folder} is in use by another {what}; stop it, or give this one a folder of "
            "its own"
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            # Not even the folder can be made now: who works without it says so.
            yield
            return
        raise ConfigError(
            f"{key}: {folder}: {error.strerror}; give a folder that the {what} may write to"
        ) from error
    try:
        yield
    finally:
        os.close(held)
