"""pkt-line: what is written is read back, and everything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.source.wire.pktline import Marker, Packet, marker, packet, packets

_PACKETS = st.lists(st.binary(max_size=300) | st.sampled_from(Marker))


def _written(stream: list[Packet]) -> bytes:
    return b"".join(marker(each) if isinstance(each, Marker) else packet(each) for each in stream)


@given(_PACKETS)
def test_what_is_written_is_read_back(stream: list[Packet]) -> None:
    assert list(packets(_written(stream))) == stream


@given(_PACKETS.filter(bool), st.data())
def test_a_stream_cut_inside_a_packet_is_refused(stream: list[Packet], data: st.DataObject) -> None:
    *kept, last = stream
    cut = data.draw(st.integers(1, len(_written([last])) - 1))
    with pytest.raises(ValueError, match="at byte"):
        list(packets(_written(kept) + _written([last])[:cut]))


@given(st.binary(max_size=400))
def test_any_bytes_are_packets_or_a_value_error(stream: bytes) -> None:
    try:
        found = list(packets(stream))
    except ValueError:
        return
    assert _written(found).lower() == stream.lower()


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        pytest.param(b"00", "no packet length at byte 0", id="short-header"),
        pytest.param(b"00000x", "no packet length at byte 4", id="after-a-flush"),
        pytest.param(b"<htm", "no packet length", id="web-page"),
        pytest.param(b"+009abcde", "no packet length", id="signed"),
        pytest.param(b" 009abcde", "no packet length", id="space"),
        pytest.param(b"0003", "means nothing", id="reserved"),
        pytest.param(b"0009abc", "cut off", id="cut"),
        pytest.param(b"fff1" + b"x" * 65517, "65521 bytes", id="too-long"),
    ],
)
def test_what_is_no_packet_is_refused(stream: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        list(packets(stream))


def test_the_longest_packet_is_read() -> None:
    data = b"x" * 65516
    assert list(packets(packet(data))) == [data]
