"""Batches of OpenAI's dialect: a thread that makes them go on."""
