"""The rooms between the networks and the command lines; each package says what lives there."""
