"""When to look: by what packets tell before they are decoded, and by small pictures after."""
