"""The vocabulary of the log: what its entries say (``entries``) and who they speak of (``identity``)."""
