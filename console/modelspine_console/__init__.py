"""The terminal console: screens and keys over what ``modelspine`` returns; it adds no rule of its own."""
