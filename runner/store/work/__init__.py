"""Who does what is due: partitions held, runners woken, contacts set aside on whom a statement fails."""
