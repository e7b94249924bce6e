"""Outside attacks on the client, written without a look at its code."""
