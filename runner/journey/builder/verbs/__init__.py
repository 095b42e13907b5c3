"""The verbs of steps, a module a family. Each function takes the builder of the journey's steps, the value of the verb
and the id of the step, and answers the verb, or None where it cannot be made.
"""
