"""The backtest: real history through the very engine that trades, filled by a venue of the past."""
