"""Whether a condition can be true at all, and whether it can be false: answered for every contact at once.

An answer is one-sided: "it never is" is so for each contact that the catalog allows; everything else is a perhaps.
``encode`` turns conditions into formulas, ``intervals`` reasons about these by itself, ``solver`` asks Z3.
"""
