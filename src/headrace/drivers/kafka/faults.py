"""What a worker can outlive by connecting again, and what ends it: in one sentence, with advice."""

from __future__ import annotations

from ...errors import BadInput
from ...flow.parcels import FencedError
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
"""By the name of aiokafka's error: those that no other connection is free of."""


def passes(error: BaseException) -> bool:
    """Whether another session may be free of this."""
    if isinstance(error, client.import_extra("aiokafka.errors").KafkaError):
        return type(error).__name__ not in ADVICE
    return isinstance(error, client.NoBroker | FencedError | GrownError | OSError | TimeoutError)


def find_lasting(error: BaseException) -> BaseException | None:
    """What of this does not pass, as whoever runs the worker should read it; None if all does."""
    if isinstance(error, BaseExceptionGroup):
        rest = error.split(passes)[1]
        found = None if rest is None else _unwrap_error(rest)
    else:
        found = None if passes(error) else error
    advice = ADVICE.get(type(found).__name__)
    if found is None or advice is None:
        return found
    return BadInput(f"{type(found).__name__}: {found}: {advice}")


def _unwrap_error(error: BaseException) -> BaseException:
    """The error in a group of one, however deep; the group if there are several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def kind_of(error: BaseException) -> str:
    """Why a session ended, for counting: the first reason of a group.

    `brokers` said no, the `network` or a disk did, another worker wrote to our journal (`fenced`),
    or the events have more `partitions`.
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
    """The reasons in an error or a group, each once."""
    if not isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}: {error}"
    return "; ".join(dict.fromkeys(map(reasons_of, error.exceptions)))
