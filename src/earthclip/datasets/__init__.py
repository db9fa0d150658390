"""Tables of located pictures: reading, checking, and bringing predictions and truths together."""
