"""create_model: from the arguments of a chat to a model on Decthings."""
