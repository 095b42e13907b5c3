"""The versions of journeys that were applied, and which of them are in force."""
