"""Reads alerting rules and their alerts from a Prometheus, or from what speaks its API (rule A1).

``GET /api/v1/rules?type=alert`` says at once which rules there are, whether they were evaluated, and which alerts
they have, with the annotations that the series ``ALERTS`` has not.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.http import HttpProcessingError

from tripswitch.api.identity import FIELD_MANAGER
from tripswitch.api.text import clean
from tripswitch.api.tolerant import field, mapping, objects, read_text
from tripswitch.domain.values.alarms import Alert, RuleReading

PATH = "/api/v1/rules"
NAMESPACE_LABEL = "namespace"
"""The label of an alert that has the workload's namespace, if no other one is named."""
MAX_BYTES = 16 * 1024 * 1024
"""An answer that is longer is not read."""
MAX_NAMES = 4000
"""Characters of names in the request's address; with more of them all rules are asked for."""
MAX_SUMMARY = 256
"""Characters of a summary, or of a rule's error."""
_BROKEN = (
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,
    TimeoutError,
    ValueError,
    RecursionError,
)
"""All that a connection and an answer can be broken by: none of it may end the task that reads."""


class AlarmsUnreadError(Exception):
    """The alarms could not be read; the message says why, and contains no secret."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where alarms are read from.

    Attributes:
        url: The address before ``/api/v1``.
        ca_file: PEM file of the authorities to trust instead of the system's; read for each request.
        token_file: File with the bearer token; read for each request, so that it can be renewed.
        namespace_label: The label of an alert that has the workload's namespace.
    """

    url: str
    ca_file: str | None = None
    token_file: str | None = None
    namespace_label: str = NAMESPACE_LABEL


class AlarmsClient:
    """Asks one Prometheus.

    Args:
        source: Where it is.
        seconds: For one request, from the connection to the end of the answer.
        max_bytes: The longest answer that is read.
    """

    def __init__(self, source: Source, *, seconds: float = 5.0, max_bytes: int = MAX_BYTES) -> None:
        self.source = source
        self._seconds = seconds
        self._max_bytes = max_bytes

    async def read(self, names: Collection[str]) -> RuleReading:
        """Return what is known of the alerting rules with these names.

        A connection is made for each request, so that renewed files are used at once.

        Raises:
            AlarmsUnreadError: There was no good answer.
        """
        headers = {"Accept": "application/json", "User-Agent": FIELD_MANAGER}
        try:
            headers |= self._read_token()
            connector = aiohttp.TCPConnector(ssl=self._read_authorities())
        except (OSError, ValueError) as error:
            raise AlarmsUnreadError(_describe(error)) from error
        timeout = aiohttp.ClientTimeout(total=self._seconds)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector, timeout=timeout, trust_env=True
                ) as session,
                session.get(
                    self.source.url.rstrip("/") + PATH,
                    params=build_query(names),
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                if response.status != 200:
                    raise AlarmsUnreadError(f"HTTP status {response.status}")
                body = await self._read_body(response)
            return parse_rules(json.loads(body), names)
        except _BROKEN as error:
            raise AlarmsUnreadError(_describe(error)) from error

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._max_bytes:
                raise AlarmsUnreadError(f"the answer is longer than {self._max_bytes} bytes")
        return bytes(body)

    def _read_token(self) -> dict[str, str]:
        path = self.source.token_file
        if path is None:
            return {}
        token = Path(path).read_bytes().strip().decode("ascii", "replace")
        if not (token.isascii() and token.isprintable()):
            raise ValueError("the token file is not one line of ASCII text")
        return {"Authorization": f"Bearer {token}"}

    def _read_authorities(self) -> ssl.SSLContext | bool:
        path = self.source.ca_file
        if path is None:
            return True
        try:
            return ssl.create_default_context(cafile=path)
        except OSError as error:
            raise AlarmsUnreadError(f"the CA file cannot be read: {error.strerror}") from error


def build_query(names: Collection[str]) -> list[tuple[str, str]]:
    """Return the parameters of the request.

    >>> build_query(["Slow", "Errors"])
    [('type', 'alert'), ('rule_name[]', 'Errors'), ('rule_name[]', 'Slow')]
    """
    wanted = [("type", "alert")]
    if sum(len(name) for name in names) <= MAX_NAMES:
        wanted += [("rule_name[]", name) for name in sorted(names)]
    return wanted


def parse_rules(body: Any, names: Collection[str]) -> RuleReading:
    """Return what an answer says of the rules with these names.

    A rule that was not evaluated, or not well, says nothing of its alarm. Where several rules have one name, all of
    them have to be good.

    Raises:
        AlarmsUnreadError: It is no good answer.
    """
    if field(body, "status") != "success" or not isinstance(field(body, "data", "groups"), list):
        raise AlarmsUnreadError("the answer is not that of Prometheus' /api/v1/rules")
    wanted, known = frozenset(names), set()
    alerts: list[Alert] = []
    unread: dict[str, str] = {}
    for rule in _list_rules(body):
        name = read_text(rule.get("name"))
        if name not in wanted:
            continue
        known.add(name)
        health = read_text(rule.get("health"))
        if health != "ok":
            last = read_text(rule.get("lastError"), MAX_SUMMARY)
            unread[name] = last or "the rule has not been evaluated yet"
        alerts += (_read_alert(name, rule, one) for one in objects(rule.get("alerts")))
    return RuleReading(frozenset(known), tuple(alerts), unread, complete=not body.get("warnings"))


def _list_rules(body: Any) -> Iterator[Mapping[str, Any]]:
    for group in objects(field(body, "data", "groups")):
        for rule in objects(group.get("rules")):
            if rule.get("type", "alerting") == "alerting":
                yield rule


def _read_alert(name: str, rule: Mapping[str, Any], alert: Mapping[str, Any]) -> Alert:
    labels = mapping(alert.get("labels")) or mapping(rule.get("labels"))
    annotations = mapping(alert.get("annotations"))
    words = (read_text(annotations.get(key), MAX_SUMMARY) for key in ("summary", "description"))
    return Alert(
        name=name,
        labels={str(key): read_text(value) for key, value in labels.items()},
        summary=next((one for one in words if one), ""),
        active_at=read_text(alert.get("activeAt")),
        firing=alert.get("state") == "firing",
    )


def _describe(error: Exception) -> str:
    """Return an error in words that hold neither the address, which may have a password in it, nor a header."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return "the certificate of the server is not trusted"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {clean(error.os_error.strerror or type(error.os_error).__name__)}"
    if isinstance(error, aiohttp.ClientError | json.JSONDecodeError):
        return type(error).__name__
    if isinstance(error, RecursionError):
        return "the answer is nested too deeply"
    if isinstance(error, HttpProcessingError):
        return "the answer is no HTTP"
    if isinstance(error, UnicodeDecodeError):
        return "the answer is no UTF-8"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else type(error).__name__
    return clean(str(error))
