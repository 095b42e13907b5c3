"""People: contacts, what they consented to, what happened to them, and who is in a segment."""
