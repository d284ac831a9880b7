"""What a call cost: usage times the price in force, and what each use case has spent. Pure arithmetic in `Decimal`."""
