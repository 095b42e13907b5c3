"""What is read for people: reports, stories, and how a deployment is."""
