"""Views of the Earth as recipes use them."""
