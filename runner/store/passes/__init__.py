"""The statements of a pass: from the instants that are due to the rows that follow from them.

``timeline`` takes the instants into the tables of ``working``. What an event does stands in ``receive``, ``goals``,
``exits``, ``waits`` and ``entry``; what happens at the nodes of a ``program`` in ``advance``, ``waits``, ``splits``,
``sends`` and ``updates``.
"""
