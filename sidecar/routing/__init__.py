"""Where a call goes and why: pure functions of facts, snapshot, health and spend, which the controller runs too."""
