"""evaluate_model: runs a model with inputs from the chat, shows what it gives, and compares that with a file."""
