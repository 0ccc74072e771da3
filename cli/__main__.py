"""`python -m cli`, the same as `inkpost`."""

from cli.main import main

main(prog_name="inkpost")
