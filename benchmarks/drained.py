"""How the delivery benchmarks hand over: all that is ready, over the connections of one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from benchmarks.mails import NOW
from channels.base import Channel, Message, Result, Sent
from channels.dkim import Signer
from channels.smtp import SmtpChannel, SmtpSettings, Tls
from runner.engine.deliver import Delivered, Delivery
from runner.engine.versions import Versions
from runner.store.database import Database

LEASE = timedelta(minutes=2)
BATCH = 200
CONNECTIONS = 8
"""A process has as many as ``limits.connections`` of the settings says unless told."""


class Null:
    """Takes everything."""

    def send(self, message: Message) -> Result:  # noqa: ARG002
        return Sent()

    def close(self) -> None:
        pass


def smtp_channel(port: int, signers: Sequence[Signer]) -> Channel:
    settings = SmtpSettings(
        host="127.0.0.1", port=port, tls=Tls.NONE, local_hostname="bench", dkim=tuple(signers)
    )
    return SmtpChannel(settings)


def drain(database: Database, versions: Versions, open_channel: Callable[[], Channel]) -> int:
    """Hand over all that is ready, through CONNECTIONS connections of this process; answers how many were sent.

    What another process looks at when it is to be begun is handed back, and claimed again by one of them.
    """
    channels = [{"email": open_channel()} for _ in range(CONNECTIONS)]
    delivery = Delivery(database, channels, lease=LEASE, clock=lambda: NOW)
    total = Delivered()
    while (done := delivery.step(versions, NOW, limit=BATCH)).claimed:
        total += done
    total += done + delivery.finish()
    delivery.lines.close()
    assert total.sent + total.skipped == total.claimed, total
    return total.sent
