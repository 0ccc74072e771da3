"""What the API and the workers share: settings, tables, the rules of a job, the queue contract."""
