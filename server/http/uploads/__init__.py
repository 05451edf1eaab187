"""The upload page: a person uploads a file for a call of create_model that was made from somewhere else."""
