"""Measures of answers: accuracy against annotators, agreement between two models."""
