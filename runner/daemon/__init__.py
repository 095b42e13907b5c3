"""When to look: the stages of the engine as jobs of one process, once, or in virtual time. Nothing is decided here.

``daemon`` runs the stages until it is told to stop, ``once`` lives what is due and stops. A ``stage`` is a piece of
work that is looked for again and again; ``opened`` has the channels, ``process`` the signals.

What it says of itself: ``log`` writes the log, ``metrics`` counts, ``health`` judges by what was seen ``lately``;
``endpoint`` answers over HTTP and ``systemd`` tells systemd, which ``observed`` puts around a daemon.
"""
