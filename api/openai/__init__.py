"""OpenAI's dialect: a file for each of its resources."""
