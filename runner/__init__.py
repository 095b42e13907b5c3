"""The runner: checks journeys, tests them in virtual time, and runs them against a SQL contact store."""
