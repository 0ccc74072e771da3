import subprocess
import sys

import pytest

CODE = (
    "import os; from worker.recognizer.spinning import limit_spinning; limit_spinning(); "
    "print(os.environ.get('GOMP_SPINCOUNT'))"
)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, "5000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_spin_briefly_unless_the_operator_says_otherwise(environment, expected):
    done = subprocess.run(
        [sys.executable, "-c", CODE], env={"PATH": "", **environment}, check=True, capture_output=True, text=True
    )

    assert done.stdout.strip() == expected
