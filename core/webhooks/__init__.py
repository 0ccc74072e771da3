"""Webhooks as API and worker share them: signatures, addresses, endpoints, the outbox, claims on deliveries."""
