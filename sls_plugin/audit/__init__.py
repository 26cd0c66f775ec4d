"""What is wrong with a corpus before anyone trains on it: copies, conflicts, broken clips, shortcuts, wrong labels."""
