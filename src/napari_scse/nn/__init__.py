"""The networks and what can be seen of them: pure torch, no other part of the package but its errors."""
