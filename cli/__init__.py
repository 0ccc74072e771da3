"""The `inkpost` command: run everything on one machine, run one role, manage clients, submit and watch."""
