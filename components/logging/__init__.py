"""Log shipping: a sidecar for any pod. Kept empty: what renders configuration is imported where no Pulumi engine is."""
