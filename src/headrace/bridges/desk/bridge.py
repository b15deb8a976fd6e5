"""The desk as a bridge: its labelling tool is our own web page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from ...adapters.sealing import Sealer
from ...settings.fields import Section, about
from ..bridge import Delivery, Receipt
from .store import DeskStore

FILE = "desk.sqlite"
"""The file of a desk in its folder."""

Names = list[str]


class DeskSettings(Section, frozen=True, kw_only=True):
    """[bridges.desk]: the page at which people label."""

    host: Annotated[
        str, about("Address to listen on; beyond loopback TLS is needed, or `allow_plaintext`.")
    ] = "127.0.0.1"
    port: Annotated[
        Annotated[int, Meta(ge=0, le=65_535)], about("Port to listen on; 0: a free one.")
    ] = 8_780
    public: Annotated[
        list[str],
        about("Names by which people reach the page, such as `desk.example.org`, beside `host`."),
    ] = field(default_factory=list)
    cert_file: Annotated[str, about("PEM file of our certificate and its chain: TLS.")] = ""
    key_file: Annotated[str, about("PEM file of its key.")] = ""
    allow_plaintext: Annotated[
        bool,
        about("Listen beyond loopback without TLS, where something before us speaks it."),
    ] = False
    lease_s: Annotated[
        Annotated[float, Meta(ge=10, le=86_400)],
        about("How long a question is one person's before another gets it (seconds)."),
    ] = 300.0
    expertise_share: Annotated[
        Annotated[float, Meta(ge=0, le=0.9)],
        about(
            "Share of the questions that go by who is how good: hard ones to those who are right "
            "most often, easy ones to the others; the rest as they come. 0: all as they come. "
            "Beside a run on files (docs/ANNOTATORS.md)."
        ),
    ] = 0.0
    texts: Annotated[Names, about("Features shown as text, whatever their length.")] = field(
        default_factory=list
    )
    images: Annotated[Names, about("Features that are addresses of images, which are shown.")] = (
        field(default_factory=list)
    )
    links: Annotated[Names, about("Features that are addresses, shown as links.")] = field(
        default_factory=list
    )
    new_classes: Annotated[
        bool, about("Whether people may name a class that nobody has named yet.")
    ] = False
    calls_per_s: Annotated[
        Annotated[float, Meta(ge=0.1, le=10_000)],
        about("Calls a person may make in a second, on average; ten times as many at once."),
    ] = 20.0
    metrics: Annotated[
        str,
        about(
            "Beside workers on Kafka the page shows the accuracy of all by their snapshots. Where "
            "the desk can't read those: the address of the metrics of one worker, such as "
            "`http://worker-1:9100/metrics`, which knows its own partitions. With https the "
            "system's authorities are believed."
        ),
    ] = ""


class Estimated(Struct, frozen=True):
    """The accuracy of the model with its 95 % bounds, estimated from `labels_n` labels."""

    accuracy: float
    low: float
    high: float
    labels_n: int


class DeskBridge:
    """A bridge into the store of the desk, from which the server takes the questions."""

    Settings = DeskSettings
    seals = True
    reorders = True

    def __init__(
        self, settings: DeskSettings, folder: Path, *, sealer: Sealer | None = None
    ) -> None:
        self.settings = settings
        self.store = DeskStore(
            folder / FILE,
            lease_s=settings.lease_s,
            expertise_share=settings.expertise_share,
            sealer=sealer,
        )

    def send(self, deliveries: Sequence[Delivery]) -> None:
        self.store.take_deliveries(deliveries)

    def receive(self, mark: str) -> Receipt:
        return self.store.read_replies(mark)

    def close(self) -> None:
        self.store.close()
