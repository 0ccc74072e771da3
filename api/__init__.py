"""The Flask REST facade: authenticate, validate, store, ring the bell, report. No torch, no Pillow, no PDF."""
