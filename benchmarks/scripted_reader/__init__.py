"""A scripted reader: a policy that knows the truth, and what its reading costs."""
