"""Calls of Label Studio's HTTP API: one connection a call, JSON both ways, tokens, and an error for
every way in which a call can fail.

A call is repeated here only when a token has expired. Any other call that failed may have been
carried out, and only its caller knows what to do about that.
"""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from ...adapters.secret_files import read_secret
from ...errors import BadSettings
from ..bridge import Unreachable
from .settings import TOKEN_VARIABLE, LabelStudioSettings
from .shapes import Access

ANSWER_BYTES_MAX = 100_000_000
"""A response with more bytes is an error."""

DETAIL_N_MAX = 300
BUSY = (408, 425, 429)

_Shape = TypeVar("_Shape")


class CallRefused(BadSettings):
    """Label Studio refuses a call that it understood; to repeat it would not help.

    >>> CallRefused("GET", "/api/projects/9/", 404, "No Project matches the given query.").status
    404
    """

    def __init__(self, method: str, path: str, status: int, detail: str) -> None:
        super().__init__(f"Label Studio refuses {method} {path}: {status}, {detail}")
        self.status = status
        self.detail = detail


class StudioServer:
    """A Label Studio server. The settings of the bridge must be free of faults.

    Raises `BadSettings` for a token or a certificate file that can't be read.
    """

    def __init__(self, settings: LabelStudioSettings) -> None:
        self._settings = settings
        self._url = urlsplit(settings.url)
        self._tls: ssl.SSLContext | None = None
        if self._url.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=settings.ca_file or None)
            except (OSError, ssl.SSLError) as error:
                raise BadSettings(
                    f"bridges.label-studio.ca_file is {settings.ca_file!r}: {error}"
                ) from None
        self._authorization = ""
        _ = self._read_token()  # so that a bad token is reported at the start

    def call(
        self,
        method: str,
        path: str,
        shape: type[_Shape],
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> _Shape:
        """Make a call and return the response, decoded as `shape`.

        - `method`, `path`: the HTTP method, and the path below the address of Label Studio.
        - `query`: parameters of the URL.
        - `body`: is sent as JSON; None sends no body.

        Raises `Unreachable` where a later attempt may help, `CallRefused` where it would not, and
        `BadSettings` for a bad token or certificate, or a response of another shape.
        """
        if not self._authorization:
            self._renew_authorization()
        status, answer = self._exchange_request(method, path, query, body)
        if status == http.client.UNAUTHORIZED:
            # Access by a personal token lasts 5 minutes; a token in a file may have been renewed.
            self._renew_authorization()
            status, answer = self._exchange_request(method, path, query, body)
        return _decode_response(method, path, status, answer, shape)

    # -------------------------------------------------------------------------------- tokens

    def _read_token(self) -> str:
        where = self._settings.token_file
        if where:
            token = read_secret(where, "bridges.label-studio.token_file", "the token")
        else:
            where = TOKEN_VARIABLE
            token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise BadSettings(
                f"there is no token for Label Studio in {where}; set {TOKEN_VARIABLE}, or "
                "bridges.label-studio.token_file to a file with one"
            )
        return token

    def _renew_authorization(self) -> None:
        """Set what to send as `Authorization`, from the token as it is now."""
        token = self._read_token()
        if token.count(".") != 2:
            self._authorization = f"Token {token}"  # a legacy one
            return
        self._authorization = ""
        path = "/api/token/refresh/"
        status, answer = self._exchange_request("POST", path, None, {"refresh": token})
        access = _decode_response("POST", path, status, answer, Access).access
        if not access.isascii() or not access.isprintable():
            raise BadSettings("Label Studio gave no access for a personal token; is url right?")
        self._authorization = f"Bearer {access}"

    # ------------------------------------------------------------------------------ one call

    def _exchange_request(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Any
    ) -> tuple[int, bytes]:
        target = self._url.path.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        connection = self._open_connection()
        try:
            connection.request(method, target, content, headers)
            response = connection.getresponse()
            answer = response.read(ANSWER_BYTES_MAX + 1)
        except ssl.SSLCertVerificationError as error:
            raise BadSettings(
                f"the certificate of {self._url.hostname} is not accepted: "
                f"{error.verify_message}; bridges.label-studio.ca_file names who may vouch for it"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"{self._url.netloc} does not answer: {reason}") from None
        finally:
            connection.close()
        if response.status in BUSY or response.status >= http.client.INTERNAL_SERVER_ERROR:
            raise Unreachable(
                f"{self._url.netloc} answers {response.status} to {method} {path}",
                _parse_seconds(response.headers.get("Retry-After")),
            )
        if http.client.MULTIPLE_CHOICES <= response.status < http.client.BAD_REQUEST:
            # Redirects are not followed: the token would go wherever a response says.
            raise BadSettings(
                f"bridges.label-studio.url leads on to {response.headers.get('Location')!r}; "
                "set it to the address of Label Studio itself"
            )
        return response.status, answer

    def _open_connection(self) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        timeout_s = self._settings.timeout_s
        if self._tls is not None:
            return http.client.HTTPSConnection(
                host, self._url.port, timeout=timeout_s, context=self._tls
            )
        return http.client.HTTPConnection(host, self._url.port, timeout=timeout_s)


def _decode_response(
    method: str, path: str, status: int, answer: bytes, shape: type[_Shape]
) -> _Shape:
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        raise BadSettings(
            f"Label Studio does not accept the token for {method} {path}: {status}, "
            f"{_read_detail(answer)}; a legacy token has to be enabled in its organization, a "
            "personal one is made under Account & Settings, and its owner has to see the project"
        )
    if status >= http.client.BAD_REQUEST:
        raise CallRefused(method, path, status, _read_detail(answer))
    if len(answer) > ANSWER_BYTES_MAX:
        raise BadSettings(f"{path} answers with more than {ANSWER_BYTES_MAX} bytes; is url right?")
    try:
        return msgspec.json.decode(answer, type=shape)
    except msgspec.DecodeError as error:
        raise BadSettings(
            f"what answers to {method} {path} is no Label Studio that we know: {error}; is "
            "bridges.label-studio.url right?"
        ) from None


def _read_detail(answer: bytes) -> str:
    """Return the reason of a refusal, without the tasks that Label Studio repeats behind `::`."""
    try:
        fields = msgspec.json.decode(answer)
    except msgspec.DecodeError:
        return "with a page instead of a reason"
    if not isinstance(fields, dict):
        return "without a reason"
    reason = fields.get("validation_errors") or fields.get("detail") or "without a reason"
    return str(reason).partition(" :: ")[0][:DETAIL_N_MAX]


def _parse_seconds(text: str | None) -> float | None:
    """Return the seconds of a `Retry-After`; None without one, or for a date."""
    return float(text) if text is not None and text.isascii() and text.isdigit() else None
