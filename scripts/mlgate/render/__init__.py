"""Evidence as people and programs read it: pure functions from evidence to text. No I/O but the page's own template."""
