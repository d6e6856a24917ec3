"""The transport over HTTP: the official asynchronous client as the owner of connections and credentials.

Its raw calls do not raise on 4xx and 5xx. Bodies are plain dicts: the official client's models are not used.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
from aiohttp.http import HttpProcessingError
from kubernetes.aio.client import ApiClient

from tripswitch.api.identity import FIELD_MANAGER
from tripswitch.cluster.credentials import Credentials
from tripswitch.cluster.errors import UnauthorizedError, UnreachableError
from tripswitch.cluster.transport import JSON, Answer, Call, Decode, Stream

UNAUTHORIZED = 401
_BROKEN = (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError, ValueError)


class HttpTransport:
    """Connections to one API server.

    Args:
        credentials: Where it is, and who we are. They are read again when the server refuses them.
        agent: The name in the server's audit log, after ours.

    Raises:
        UnauthorizedError: The certificates that the credentials name are none.
    """

    def __init__(self, credentials: Credentials, *, agent: str = "") -> None:
        self._credentials = credentials
        try:
            self._api: Any = ApiClient(credentials.configuration)
        except OSError as error:
            raise UnauthorizedError(
                f"no usable credentials: a certificate or key cannot be used: {error}"
            ) from error
        self._api.user_agent = f"{FIELD_MANAGER}/{agent}" if agent else FIELD_MANAGER

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def request(self, call: Call, *, seconds: float) -> Answer:
        """Send one request and decode the answer.

        Raises:
            UnreachableError: There was no answer in time, or it was not JSON.
        """
        headers = {"Accept": call.accept, "Content-Type": call.content_type}
        with _unreachable():
            response = await self._send(call, headers, aiohttp.ClientTimeout(total=seconds))
            try:
                text = await response.read()
                return _answer(response, _decode(text) if _refuses(response) else call.decode(text))
            finally:
                response.release()

    async def read_text(self, call: Call, *, seconds: float) -> Answer:
        """Read what is no JSON: a log.

        Raises:
            UnreachableError: There was no answer in time.
        """
        with _unreachable():
            timeout = aiohttp.ClientTimeout(total=seconds)
            response = await self._send(call, {"Accept": call.accept}, timeout)
            try:
                text = await response.read()
                refused = _refuses(response)
                return _answer(
                    response, _decode(text) if refused else text.decode(errors="replace")
                )
            finally:
                response.release()

    async def stream(self, call: Call, *, open_seconds: float, stall_seconds: float) -> Stream:
        """Open a watch.

        Raises:
            UnreachableError: It could not be opened in time.
        """
        timeout = aiohttp.ClientTimeout(sock_connect=open_seconds, sock_read=stall_seconds)
        with _unreachable():
            response = await self._send(call, {"Accept": JSON}, timeout)
            body = _decode(await response.read()) if _refuses(response) else None
        return Stream(_answer(response, body), _read_lines(response, call.decode))

    async def _send(
        self,
        call: Call,
        headers: dict[str, str],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the client's own, for one request
    ) -> aiohttp.ClientResponse:
        prepared = await self._api.param_serialize(
            call.method,
            call.path,
            query_params=list(call.query.items()),
            header_params=headers,
            body=call.body,
            auth_settings=["BearerToken"],
        )
        sent = await self._api.call_api(*prepared, _request_timeout=timeout)
        response: aiohttp.ClientResponse = sent.response
        if response.status == UNAUTHORIZED:
            await self._load_for_the_next_call()
        return response

    async def _load_for_the_next_call(self) -> None:
        try:
            await self._credentials.load()
        except UnauthorizedError as error:
            error.status = UNAUTHORIZED
            raise


async def _read_lines(
    response: aiohttp.ClientResponse, decode: Decode
) -> AsyncGenerator[object, None]:
    try:
        with _unreachable():
            async for line in response.content:
                yield decode(line)
    finally:
        response.close()


@contextmanager
def _unreachable() -> Iterator[None]:
    """Turn every way in which a connection or an answer can be broken into one error."""
    try:
        yield
    except _BROKEN as error:
        words = f": {error}" if str(error) else ""
        raise UnreachableError(f"{type(error).__name__}{words}") from error


def _refuses(response: aiohttp.ClientResponse) -> bool:
    return response.status >= 400


def _answer(response: aiohttp.ClientResponse, body: object) -> Answer:
    headers = response.headers
    return Answer(response.status, body, headers.get("Date"), headers.get("Retry-After"))


def _decode(text: bytes) -> object:
    """Return a refusal's body: the decoded Status, or the text that came instead of one."""
    words = text.decode(errors="replace")
    try:
        body: object = json.loads(words)
    except ValueError:
        return words
    return body
