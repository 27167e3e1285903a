"""Our own asyncio FIX acceptor: it shares no code with the gateway's FIX adapter."""
