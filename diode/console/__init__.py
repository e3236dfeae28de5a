"""What a person sees on a terminal, and what a person is asked."""
