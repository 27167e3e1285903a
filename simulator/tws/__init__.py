"""The TWS socket: a venue that speaks as TWS and IB Gateway do, at server versions 157 to 178."""
