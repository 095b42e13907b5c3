"""How others see a process: whether it is well, what it has done, and what lags in its database. It decides nothing.

``metrics`` counts, ``figures`` has what several processes count together; ``health`` judges by what was seen
``lately``. ``endpoint`` answers over HTTP, ``systemd`` tells systemd, and ``observed`` puts both around a daemon.
"""
