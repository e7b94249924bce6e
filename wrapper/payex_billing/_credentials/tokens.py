"""Where the token comes from: a string, a file that is read again when it changes, or a function that is asked.

The token that the server refused is replaced once for all who had it: threads and tasks that meet the same 401 wait for
one new token instead of fetching one each.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from pathlib import Path

from .._secret import Secret, kind_of
from ..config import AsyncTokenProvider, check_token
from ..errors import ConfigurationError


class TokenSource:
    """A token that may change, for threads.

    Args:
        source: the token, the path of a file that holds it, or a function that returns it.
    """

    def __init__(self, source: str | Path | AsyncTokenProvider) -> None:
        if inspect.iscoroutinefunction(source):
            raise ConfigurationError("token is an async function, which only AsyncBilling can await")
        self._source: Secret | Path | AsyncTokenProvider = Secret(source) if isinstance(source, str) else source
        self._lock = threading.Lock()
        self._token = Secret("")
        self._stamp: tuple[int, ...] = ()

    def ready(self, refused: Secret | None = None) -> Secret | None:
        """The token if it is at hand, without asking anyone for it; None if it must be fetched."""
        if isinstance(self._source, Secret):
            return self._source
        if not self._token or refused == self._token:
            return None
        if isinstance(self._source, Path):
            try:
                return self._token if _stamp(self._source) == self._stamp else None
            except OSError:
                return None
        return self._token

    def get(self, refused: Secret | None = None) -> Secret:
        """The token; one other than `refused`, if there is one.

        Raises:
            ConfigurationError: there is no usable token.
        """
        token = self.ready(refused)
        if token is not None:
            return token
        with self._lock:
            # Another thread may have fetched the token in the meantime.
            return self.ready(refused) or self._fetch()

    def _fetch(self) -> Secret:
        if isinstance(self._source, Path):
            self._read_file(self._source)
        elif not isinstance(self._source, Secret):
            self._token = _usable(self._source())
        return self._token

    def _read_file(self, path: Path) -> None:
        try:
            stamp = _stamp(path)
            text = Secret(path.read_bytes().decode("utf-8", "replace").strip())
        except OSError as error:
            # A file that is being replaced must not stop the work that the old token still does.
            if not self._token:
                raise ConfigurationError(f"the token file {path} cannot be read: {error.strerror}") from None
            return
        self._token, self._stamp = check_token(text, f"the token file {path}"), stamp


class AsyncTokenSource:
    """The same for tasks of one event loop. The function may be async; one that is not runs in a thread."""

    def __init__(self, source: str | Path | AsyncTokenProvider) -> None:
        self._provider = source if inspect.iscoroutinefunction(source) else None
        self._blocking = TokenSource(source) if self._provider is None else None
        self._lock = asyncio.Lock()
        self._token = Secret("")

    def ready(self, refused: Secret | None = None) -> Secret | None:
        """The token if it is at hand, without asking anyone for it; None if it must be fetched."""
        if self._blocking is not None:
            return self._blocking.ready(refused)
        return self._token if self._token and refused != self._token else None

    async def get(self, refused: Secret | None = None) -> Secret:
        """The token; one other than `refused`, if there is one.

        Raises:
            ConfigurationError: there is no usable token.
        """
        token = self.ready(refused)
        if token is not None:
            return token
        async with self._lock:
            # Another task may have fetched the token in the meantime.
            return self.ready(refused) or await self._fetch(refused)

    async def _fetch(self, refused: Secret | None) -> Secret:
        if self._blocking is not None:
            return await asyncio.to_thread(self._blocking.get, refused)
        if self._provider is not None:
            self._token = _usable(await self._provider())
        return self._token


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file does."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _usable(token: object) -> Secret:
    """What a token function returned, if it is a token."""
    if inspect.iscoroutine(token):
        token.close()  # nobody will await it, and it should not warn of that
    token = Secret.of(token)
    if not isinstance(token, Secret):
        raise ConfigurationError(f"the token function returned {kind_of(token)}, not a str")
    return check_token(token, "what the token function returned")
