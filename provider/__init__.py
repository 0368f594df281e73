"""The components for programs in other languages: a provider of Pulumi's, with a schema of what each takes."""
