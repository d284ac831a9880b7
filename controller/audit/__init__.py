"""How a company uses models today: by its code, its ledger and its invoices."""
