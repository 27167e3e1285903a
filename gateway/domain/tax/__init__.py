"""The tax ledger of one household: lots, realised gains, wash sales and what is due, as the rules have it."""
