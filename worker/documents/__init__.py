"""The documents queue: cut form PDFs into lines, and write PDFs from what was read. No model and no torch here."""
