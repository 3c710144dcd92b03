"""What tests of jobs and of stores are made of."""
