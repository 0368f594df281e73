"""What a secret looks like, where one stands in a text, and the mask that is put over it: for all that is printed."""
