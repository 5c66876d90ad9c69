"""The terminal console: screens and keys over what ``core`` returns; it adds no rule of its own."""
