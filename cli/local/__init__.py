"""The real PostgreSQL and Redis that `inkpost up` and the tests run on this machine."""
