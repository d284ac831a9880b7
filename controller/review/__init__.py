"""The quarterly review: what each use case did, what is known of other models, and what to keep, shift or retire."""
