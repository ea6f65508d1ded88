"""Audit log, ownership, export, erasure, secrets and impersonation."""
