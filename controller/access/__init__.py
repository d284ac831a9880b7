"""Who asks the controller, and which use cases they may see."""
