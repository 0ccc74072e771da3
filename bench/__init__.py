"""Measurements of Inkpost beside what a user would pick instead."""
