"""The statements of a pass: from the instants that are due to the rows that follow from them.

``timeline`` and ``timers`` take the instants into the tables of ``working``. What an event does stands in ``receive``,
``goals``, ``exits`` and ``entry``. ``ways`` numbers the paths through a ``program``, and ``advance`` sends runs on
them; what happens at its nodes stands in the neighbouring ``steps``.
"""
