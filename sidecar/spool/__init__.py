"""The account of every call on this machine's disk, until the controller has it: a killed process loses no record."""
