"""The eval loop: which model for which use case, and with what evidence."""
