"""A broken claim as files: a page with the story, its sequence diagram and its path on the state diagram."""
