"""What keys do: navigation, selection, refreshing, and changes in write mode."""
