"""What a run achieved: the figures behind the tables, and the HTML report."""
