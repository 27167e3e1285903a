"""The venue behind Alpaca's REST and WebSocket interface; shares no code with `adapters/alpaca`."""
