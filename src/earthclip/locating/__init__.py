"""Locating: a question about a picture, a description or both, to scores, a posterior and a prediction."""
