"""Reference profiles: what a column was like when the model was made, small enough to be committed."""
