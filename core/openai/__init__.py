"""OpenAI's dialect over our jobs: what its bodies ask for, its answers, its files and batches."""
