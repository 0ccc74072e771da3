"""The webhooks queue: sign, send and record deliveries. No model and no torch here."""
