"""How long torch's threads spin for their siblings before they sleep; must be settled before torch is imported.

GNU OpenMP spins for some 5 ms by default. On a machine whose cores others use too, that burns the very time slice that
the awaited thread needs: measured on 2 busy cores (load 6), trocr-base in int8 took 1.0 s a line with this spin and
did not finish 4 lines in 2 minutes with the default. A spin of 100 microseconds still covers the gaps between two
operations: with 20 a decoder step of one line took 42 ms on idle cores, with 100 or more 27.
"""

import os

SPIN_VARIABLE = "GOMP_SPINCOUNT"
SPIN_COUNT = "5000"  # about 100 microseconds


def limit_spinning() -> None:
    """Set the spin unless the operator did; without effect once torch is imported."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault(SPIN_VARIABLE, SPIN_COUNT)
