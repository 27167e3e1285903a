"""The edges: asyncio, Redis, the clock."""
