"""File jobs: plan, paint, smooth over time, queue what the page uploads. Puts producer, workers and viewer together."""
