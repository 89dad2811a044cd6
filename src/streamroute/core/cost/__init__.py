"""What calls cost: prices, charges, and the entries of the ledger."""
