"""The only writers of the ground: streets, places, grids and people into the database."""
