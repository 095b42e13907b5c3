"""What happens to runs at the steps of a program, a module a kind of step: each takes all runs that are at a node."""
