"""The wall clock where a contact lives, as two tables and SQL over them."""
