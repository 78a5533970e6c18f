"""What somebody may ask of the running agent, read and weighed before anything is done."""
