"""A document is an uploaded form PDF. It is cut into lines by a worker; from then on its lines are like any others."""
