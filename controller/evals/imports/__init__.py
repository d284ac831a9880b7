"""Results that other tools recorded: a file per tool, each pure, from the bytes of its file to what it found."""
