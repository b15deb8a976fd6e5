"""Which errors a worker outlives by connecting again, and which end it, with advice on each."""

from __future__ import annotations

from ...errors import BadInput
from ...flow.produce import FencedError
from ...flow.takeover import GrownError
from . import client

ADVICE = {
    "UnsupportedCodecError": "install the codec: pip install 'headrace[kafka]'",
    "CorruptRecordException": "a record does not match its checksum; repair its log, or have "
    "headrace reset begin after it",
    "RecordTooLargeError": "a record is larger than what is fetched; raise kafka.fetch_bytes_max",
    "MessageSizeTooLargeError": "a topic takes smaller records than kafka.request_bytes_max; raise "
    "its max.message.bytes (headrace topics tells which), or lower the setting",
    "RecordListTooLargeError": "lower kafka.request_bytes_max, or raise the topic's segment.bytes",
    "TopicAuthorizationFailedError": "allow our user READ and WRITE on the topics of [kafka]",
    "GroupAuthorizationFailedError": "allow our user READ on the group kafka.group",
    "ClusterAuthorizationFailedError": "allow our user IDEMPOTENT_WRITE on the cluster",
    "AuthenticationFailedError": "check kafka.username and the password",
    "SaslAuthenticationFailed": "check kafka.username and the password",
    "AuthenticationMethodNotSupported": "check kafka.sasl",
    "UnsupportedSaslMechanismError": "check kafka.sasl",
    "IllegalSaslStateError": "check kafka.sasl and kafka.tls",
    "InvalidTopicError": "check the names of topics in [kafka]",
    "InvalidGroupIdError": "check kafka.group",
    "InconsistentGroupProtocolError": "another program uses the group kafka.group; give it a name "
    "of its own",
    "InvalidSessionTimeoutError": "the brokers must allow a session of 10 s; see their "
    "group.min.session.timeout.ms and group.max.session.timeout.ms",
    "UnsupportedVersionError": "the brokers are too old; 2.1 or later is needed",
    "IncompatibleBrokerVersion": "the brokers are too old; 2.1 or later is needed",
    "UnrecognizedBrokerVersion": "the brokers are too old; 2.1 or later is needed",
    "UnsupportedForMessageFormatError": "raise the topics' message.format.version",
    "PolicyViolationError": "the brokers' policy forbids it",
    "InvalidConfigurationError": "the brokers refuse a topic's configuration",
    "KafkaConfigurationError": "check [kafka]",
    "IllegalArgumentError": "check [kafka]",
}
"""Advice by the name of aiokafka's error, for errors that every new connection would meet again."""


def is_passing(error: BaseException) -> bool:
    """Whether another driver may be free of this error."""
    if isinstance(error, client.import_extra("aiokafka.errors").KafkaError):
        return type(error).__name__ not in ADVICE
    return isinstance(error, client.NoBroker | FencedError | GrownError | OSError | TimeoutError)


def find_lasting(error: BaseException) -> BaseException | None:
    """Return the part of an error that does not pass, worded for an operator; None if all does."""
    if isinstance(error, BaseExceptionGroup):
        rest = error.split(is_passing)[1]
        lasting = None if rest is None else _unwrap_error(rest)
    else:
        lasting = None if is_passing(error) else error
    advice = ADVICE.get(type(lasting).__name__)
    if lasting is None or advice is None:
        return lasting
    return BadInput(f"{type(lasting).__name__}: {lasting}: {advice}")


def _unwrap_error(error: BaseException) -> BaseException:
    """The error in a group of one, however deep; the group if there are several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def kind_of(error: BaseException) -> str:
    """Return why a driver ended, for counting: the first reason in a group.

    `brokers` refused, the `network` or a disk failed, another worker wrote to our journal
    (`fenced`), or the events have more `partitions`.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, FencedError):
        return "fenced"
    if isinstance(error, GrownError):
        return "partitions"
    lost = client.import_extra("aiokafka.errors").KafkaConnectionError
    return "network" if isinstance(error, OSError | client.NoBroker | lost) else "brokers"


def reasons_of(error: BaseException) -> str:
    """Return the reasons in an error or a group, each once, as text."""
    if not isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}: {error}"
    return "; ".join(dict.fromkeys(map(reasons_of, error.exceptions)))
