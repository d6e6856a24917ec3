"""What is measured, beside the peers."""
