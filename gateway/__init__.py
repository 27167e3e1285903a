"""The execution gateway: target weights in, fills in the book out."""
