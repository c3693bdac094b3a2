"""What a revision of the repository says: files, DVC locks, metrics, and which commit is the champion."""
