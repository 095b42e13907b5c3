"""What starts journeys besides the events that arrive: time, other people's events, and what a run does elsewhere.

All of it becomes an event on the timeline of each contact that it concerns, and is handled there in its turn.
"""
