"""The aiohttp edge: what agents and operators call. Reads requests, writes replies, decides nothing."""
