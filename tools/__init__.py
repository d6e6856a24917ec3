"""What builds, checks and shows the operator: generated files, image, plugin file, docs, throwaway cluster."""
