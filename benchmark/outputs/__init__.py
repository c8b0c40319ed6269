"""What is told of a regression check or a run: pure functions of its JSON document, for people, for CI and for chat."""
