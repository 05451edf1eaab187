"""What an assistant gets back: results, errors, and the words for both."""
