"""Cases on disk, the mapping that makes records of them, and the dataset that mirrors them."""
