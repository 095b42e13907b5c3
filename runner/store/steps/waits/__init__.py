"""Steps at which runs stand: until when, what wakes them before that, and what is kept of what they waited for."""
