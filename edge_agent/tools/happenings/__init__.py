"""How good events are: what rules say of the truth, beside what the agent says of the same clip."""
