"""Policies that the service is compared with; every module has a table ``RIVALS`` of them."""
