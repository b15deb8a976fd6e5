"""The section of a bridge to Label Studio, `[bridges.label-studio]`, and how it is checked."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, field

from ...settings.fields import Few, Section, about
from ...settings.http import is_loopback

TOKEN_VARIABLE = "HEADRACE_LABEL_STUDIO_TOKEN"

TITLE_N_MIN, TITLE_N_MAX = 3, 50
"""Label Studio's own limits for the title of a project, in characters."""


class LabelStudioSettings(Section, frozen=True, kw_only=True):
    """[bridges.label-studio]: where Label Studio is, and what its tasks look like."""

    url: Annotated[
        str,
        about("Address of Label Studio. Beyond this machine it has to begin with https://."),
    ] = "http://127.0.0.1:8080"
    allow_http: Annotated[
        bool,
        about("Speak plain HTTP with another machine too: the token and all answers can be read."),
    ] = False
    ca_file: Annotated[
        str,
        about("PEM file of the authorities that may vouch for the server; empty: the system's."),
    ] = ""
    token_file: Annotated[
        str,
        about(
            "File with an access token, a personal or a legacy one, read again when it is "
            f"refused. Empty: the token is in the environment variable {TOKEN_VARIABLE}."
        ),
    ] = ""
    project: Annotated[
        int | str,
        about(
            "Title of the project, which is made where there is none, or the id of one that is "
            "there, as a number. One project for one run."
        ),
    ] = "Headrace"
    classes: Annotated[
        list[str],
        about(
            "The classes to choose from; any other answer is reported and not handed on. Empty: "
            "those of the project, which then has to be there."
        ),
    ] = field(default_factory=list)
    features: Annotated[
        list[str],
        about("The features that are sent and shown in a table, in this order; empty: all."),
    ] = field(default_factory=list)
    texts: Annotated[
        list[str], about("Features shown as running text above the table, each on its own.")
    ] = field(default_factory=list)
    images: Annotated[
        list[str], about("Features that are addresses of images, shown above the table.")
    ] = field(default_factory=list)
    choices: Annotated[
        str, about("Name of the Choices tag in the labelling configuration of the project.")
    ] = "label"
    show_guess: Annotated[
        bool,
        about("Show annotators the class that the model predicts, already chosen in the form."),
    ] = False
    answers_wanted: Annotated[
        Few, about("How many people answer each task; as `label.answers_wanted`, or more.")
    ] = 1
    poll_s: Annotated[
        Annotated[float, Meta(ge=0, le=3600)],
        about("Time between two looks for new answers; seconds. 0: whenever there is time."),
    ] = 15.0
    webhook_url: Annotated[
        str,
        about(
            "Address under which Label Studio reaches this bridge, such as "
            "http://127.0.0.1:8791: it is told where to call, and a call lets the bridge look at "
            "once instead of after `poll_s`. Empty: no webhook."
        ),
    ] = ""
    webhook_listen: Annotated[
        str,
        about(
            "Host and port where the bridge listens for the webhook; empty: 127.0.0.1 and the "
            "port of `webhook_url`."
        ),
    ] = ""
    timeout_s: Annotated[
        Annotated[float, Meta(ge=1, le=600)],
        about("Label Studio counts as away when it does not answer for so long; seconds."),
    ] = 60.0


def faults_of(settings: LabelStudioSettings) -> list[str]:
    """Return what does not fit together, as sentences that begin with a setting; [] if nothing.

    >>> faults_of(LabelStudioSettings(project="ab"))
    ["project is 'ab'; must be a title of 3 to 50 characters, or the id of a project"]
    """
    faults = _faults_of_address(settings)
    project = settings.project
    if isinstance(project, str) and not TITLE_N_MIN <= len(project.strip()) <= TITLE_N_MAX:
        faults.append(
            f"project is {project!r}; must be a title of {TITLE_N_MIN} to {TITLE_N_MAX} "
            "characters, or the id of a project"
        )
    for name in ("classes", "features", "texts", "images"):
        faults += _faults_of_names(name, getattr(settings, name))
    faults += _faults_of_webhook(settings)
    if not settings.choices.strip():
        faults.append("choices is empty; must be the name of a Choices tag")
    return faults


def _faults_of_address(settings: LabelStudioSettings) -> list[str]:
    try:
        url = urlsplit(settings.url)
        _ = url.port  # raises ValueError for a port that is no number
    except ValueError as error:
        return [f"url is {settings.url!r}: {error}"]
    if url.username is not None or url.password is not None:
        # The address is not shown, for it may hold a password.
        return [
            "url holds a name or a password; the token belongs into token_file or the environment "
            f"variable {TOKEN_VARIABLE}"
        ]
    faults = []
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        faults.append(
            f"url is {settings.url!r}; must be an address such as https://labels.example.org"
        )
    elif url.scheme == "http" and not settings.allow_http and not is_loopback(url.hostname):
        faults.append(
            f"url is plain HTTP to {url.hostname}: the token could be read on the way; use "
            "https://, or set allow_http"
        )
    if settings.ca_file and url.scheme == "http":
        faults.append("ca_file is set, and url is not https://; mend either")
    return faults


def _faults_of_webhook(settings: LabelStudioSettings) -> list[str]:
    faults = []
    if settings.webhook_listen and not settings.webhook_url:
        faults.append(
            "webhook_listen is set, and webhook_url is not; say where Label Studio is to call"
        )
    if settings.webhook_url and _parse_port(settings.webhook_url) is None:
        faults.append(
            f"webhook_url is {settings.webhook_url!r}; must be an address such as "
            "http://127.0.0.1:8791"
        )
    listen = settings.webhook_listen
    if listen and _parse_port(f"http://{listen}") is None:
        faults.append(f"webhook_listen is {listen!r}; must be a host and a port, HOST:PORT")
    return faults


def _parse_port(address: str) -> int | None:
    """Return the port of an address that has only a host and a path; None for any other."""
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:
        return None
    is_plain = url.username is None and not url.query and not url.fragment
    if url.scheme not in ("http", "https") or not url.hostname or not is_plain:
        return None
    return port or {"http": 80, "https": 443}[url.scheme]


def listen_address(settings: LabelStudioSettings) -> str:
    """Return the `HOST:PORT` at which the bridge listens for the webhook; "" without one.

    >>> listen_address(LabelStudioSettings(webhook_url="https://labels.example.org:8791/hook"))
    '127.0.0.1:8791'
    """
    if not settings.webhook_url:
        return ""
    return settings.webhook_listen or f"127.0.0.1:{_parse_port(settings.webhook_url)}"


def _faults_of_names(setting: str, names: list[str]) -> list[str]:
    """Return faults of names that a labelling configuration, which is XML, could not show."""
    twice = sorted({name for name in names if names.count(name) > 1})
    odd = [name for name in names if not name or name != name.strip() or not name.isprintable()]
    return [f"{setting} names {name!r} twice" for name in twice] + [
        f"{setting} has {name!r}; must be printable text, with no blank around it" for name in odd
    ]
