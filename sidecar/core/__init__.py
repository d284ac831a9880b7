"""One call from bytes to record: opened, planned, tried, delivered, booked. The network is reached through ports."""
