"""What is spoken with each FIX venue: dictionaries, rules of engagement, certification checklists."""
