"""`make learn-score`: ask 300 variants of the API, judge the answers, and try the corrected contract on copies."""
