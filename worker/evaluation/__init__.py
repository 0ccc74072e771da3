"""How well a model reads: lines with references in, error rates and checked confidences out."""
