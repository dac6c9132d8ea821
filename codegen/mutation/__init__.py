"""Small changes of a spec, each a mistake that somebody could make, and who notices them."""
