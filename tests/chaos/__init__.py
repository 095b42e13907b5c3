"""Faults done to real processes: kills, cut and hanging connections, stopped processes, a database that goes away.

Each campaign lets a feeder store people and events, runs ``journeys run`` on them while it does its harm, heals
everything, waits until all is delivered, and compares what arrived with what an undisturbed run of the same
input sends. ``python -m tests.chaos`` runs them and prints a table.
"""
