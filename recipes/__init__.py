"""Recipes: programs built on earthclip's public interface, run from a clone and not part of the wheel."""
