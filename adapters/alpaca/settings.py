"""What one Alpaca connection must know."""

from __future__ import annotations

from dataclasses import dataclass, field

PAPER = ("https://paper-api.alpaca.markets", "wss://paper-api.alpaca.markets/stream")
LIVE = ("https://api.alpaca.markets", "wss://api.alpaca.markets/stream")
DATA = "https://data.alpaca.markets"


@dataclass(frozen=True, slots=True)
class AlpacaSettings:
    """Hold addresses, keys and habits; times in seconds.

    `account` is our name of the only account the keys open. `requests_per_min` is the venue's limit for all
    programs with these keys (200 on the Trading API). `mute_after_s`: an order of which the stream says
    nothing for so long is asked about. `poll_s`: open orders are compared that often, whatever the stream
    says; `activities_s`: dividends, splits and the like are asked for that often.
    """

    name: str
    account: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    url: str = PAPER[0]
    stream_url: str = PAPER[1]
    symbols: tuple[str, ...] = ()
    requests_per_min: int = 200
    extended_hours: bool = False
    compare_positions: bool = True
    mute_after_s: float = 5.0
    poll_s: float = 10.0
    activities_s: float = 60.0
