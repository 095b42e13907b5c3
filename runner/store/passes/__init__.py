"""The statements of a pass: from the instants that are due to the rows that follow from them.

``timeline`` and ``timers`` take the instants into the tables of ``working``. What an event does stands in ``receive``,
``goals``, ``exits``, ``waits`` and ``entry``. What happens at the nodes of a ``program`` stands in ``route`` (decisions
and ``sends``; ``ways`` numbers the paths through them), ``waits``, ``splits`` and ``updates``, and what follows from it
in ``advance``.
"""
