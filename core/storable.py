"""What Postgres takes: text without U+0000 and without half of a surrogate pair."""


def storable_text(words: str) -> str:
    """Drop NUL and replace lone surrogates."""
    return words.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
