"""When to look: the stages of the engine as jobs of one process, once, or in virtual time. Nothing is decided here.

``daemon`` runs the stages until it is told to stop, ``once`` lives what is due and stops. A ``stage`` is a piece of
work that is looked for again and again, and ``listener`` hears of it; ``opened`` has the channels, ``workers`` the
processes that only deliver, ``process`` the signals. ``log`` writes the log; ``observe/`` is how others see it all.
"""
