"""The backtest: real history through the very engine that trades, filled by a venue that only knows the past."""
