"""Pure drawing: the one door for text, colours, formats, grids, charts and plots."""
