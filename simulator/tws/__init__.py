"""The TWS socket: a venue that speaks as TWS and IB Gateway do, in text frames of server versions 157 to 178."""
