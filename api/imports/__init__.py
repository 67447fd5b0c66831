"""Files in: what `gridward import` and the page of imports share, so that both do the same with the same file."""
