"""The scene of images/example.jpg: an autumn evening at a mountain lake, path traced."""
