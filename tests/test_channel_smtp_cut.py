"""A connection that breaks within the server's answer to the final dot."""

from __future__ import annotations

import socket
import threading

import pytest

from channels.base import Message, Sent, Unknown
from channels.smtp import SmtpChannel, SmtpSettings, Tls
from tests.shop import START

MESSAGE = Message(
    idempotency_key="a" * 64,
    recipient="ana@x.example",
    let_go_at=START,
    journey="greet",
    step="hello",
    contact="ana",
    locale="en",
    subject="Hello",
    text="Hello",
    sender_address="hello@shop.example",
)


@pytest.mark.parametrize(
    ("answer", "result"), [(b"2", Unknown), (b"25", Unknown), (b"", Unknown), (b"250 taken", Sent)]
)
def test_an_answer_that_is_cut_off_is_no_refusal(answer: bytes, result: type) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 here\r\n")
            for line in lines:
                if line.startswith(b"DATA"):
                    connection.sendall(b"354 go on\r\n")
                    while next(lines) != b".\r\n":
                        pass
                    connection.sendall(answer)
                    return
                connection.sendall(b"250 fine\r\n")

    server = threading.Thread(target=serve)
    server.start()
    try:
        settings = SmtpSettings(host="127.0.0.1", port=listener.getsockname()[1], tls=Tls.NONE, timeout=5.0)
        channel = SmtpChannel(settings)
        assert isinstance(channel.send(MESSAGE), result)
        channel.close()
    finally:
        server.join(10)
        listener.close()
